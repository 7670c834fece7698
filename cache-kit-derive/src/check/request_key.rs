//! The key of a request: a field, several, a template, or an expression.

use proc_macro2::Group;
use syn::LitStr;

use super::expression::Expression;
use super::key_text::{self, KeyText, Template};
use super::typed_key::Part;
use crate::ast::Struct;
use crate::attr::key::StatedKey;
use crate::diag::Errors;

/// What a feeder asks for. Numbers are positions in [`Struct::fields`].
pub(crate) enum RequestKey {
    /// The field, or its elements if it is a `Vec` or a slice.
    Field(usize),
    /// A typed key of several fields.
    Typed(Vec<Part>),
    /// A `String` of fields and text.
    Template(Template),
    /// The value of an expression.
    Expression(Expression),
}

impl RequestKey {
    /// Interprets the `key` of a request.
    pub(super) fn stated(
        target: &Struct<'_>,
        stated: &StatedKey,
        errors: &mut Errors,
    ) -> Option<Self> {
        match stated {
            StatedKey::Text(literal) => Self::of_text(target, literal, errors),
            StatedKey::Fields(group, names) => Self::of_fields(target, group, names, errors),
        }
    }

    fn of_text(target: &Struct<'_>, literal: &LitStr, errors: &mut Errors) -> Option<Self> {
        match KeyText::of(literal, target) {
            KeyText::Field(name) => {
                key_text::field_named(target, literal, &name, errors).map(Self::Field)
            }
            KeyText::Expression(expression) => Some(Self::Expression(expression)),
            KeyText::Template => key_text::template_of(target, literal, errors).map(Self::Template),
            KeyText::Fields(names) => {
                key_text::needs_quotes(literal, &names, errors);
                None
            }
            KeyText::Unknown => {
                errors.at(
                    literal,
                    "`key` takes the name of a field, a template like `{shop}:{id}`, or a short \
                     expression over the fields, as in `user.id` or `format!(\"{shop}-{id}\")`: \
                     put what is longer into a method and call it",
                );
                None
            }
        }
    }

    fn of_fields(
        target: &Struct<'_>,
        group: &Group,
        names: &[LitStr],
        errors: &mut Errors,
    ) -> Option<Self> {
        let fields = key_text::fields_named(target, group, names, errors);
        match names {
            [] => return None,
            // Another part, which is not text, may have been reported already.
            [only] if group.stream().into_iter().count() <= 2 => {
                errors.at(
                    only,
                    format!(
                        "a key of one field needs no parentheses: write `key = \"{}\"`",
                        only.value().escape_debug()
                    ),
                );
            }
            _ => {}
        }
        Some(Self::Typed(Part::of_fields(target, fields)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a text is interpreted, for the fields `a`, `b` and `user`.
    fn taken_for(text: &str) -> &'static str {
        let source = "struct Get { a: String, b: String, user: User }";
        let Ok(input) = syn::parse_str(source) else {
            return "no input";
        };
        let mut errors = Errors::default();
        let literal = LitStr::new(text, proc_macro2::Span::call_site());
        let Some(target) = Struct::new(&input, "CacheFeed", &mut errors) else {
            return "no struct";
        };
        match RequestKey::stated(&target, &StatedKey::Text(literal), &mut errors) {
            _ if !errors.is_empty() => "refused",
            Some(RequestKey::Field(_)) => "field",
            Some(RequestKey::Template(_)) => "template",
            Some(RequestKey::Expression(_)) => "expression",
            Some(RequestKey::Typed(_)) => "parts",
            None => "nothing",
        }
    }

    #[test]
    fn a_text_is_a_field_or_a_template_or_an_expression() {
        for (text, expected) in [
            ("a", "field"),
            ("r#a", "field"),
            ("self.a", "field"),
            ("c", "refused"),
            ("", "refused"),
            ("{a}:{b}", "template"),
            ("{a} {b}", "template"),
            ("({a}|{b})", "template"),
            ("v{a}", "template"),
            ("-{a}", "template"),
            ("{a}.{b}", "template"),
            ("{c}", "refused"),
            ("{a", "refused"),
            ("user.id", "expression"),
            ("self.user.id", "expression"),
            ("a.clone() + &b", "expression"),
            ("format!(\"{a}:{b}\")", "expression"),
            ("Key::new(a, *b as u8)", "expression"),
            ("(a.clone(), b.clone())", "expression"),
            ("a b", "refused"),
            ("if x { a } else { b }", "refused"),
            ("match a { _ => b }", "refused"),
            ("user.ids().map(|a| {a})", "refused"),
            ("Key { a, b }", "refused"),
            ("[a, b]", "refused"),
            ("a; b", "refused"),
        ] {
            assert_eq!(taken_for(text), expected, "{text}");
        }
    }
}
