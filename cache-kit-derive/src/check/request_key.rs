//! The value of `key` on a request: a field, several, a template, or an expression.

use proc_macro2::Group;
use syn::{LitStr, Member};

use super::expression::Expression;
use super::feeder::{Key, Part};
use crate::ast::{Field, Struct};
use crate::attr::key::StatedKey;
use crate::check::names::{self, bare, is_name};
use crate::diag::Errors;
use crate::text::template;

/// Determines the key.
pub(super) fn key(target: &Struct<'_>, stated: &StatedKey, errors: &mut Errors) -> Option<Key> {
    match stated {
        StatedKey::Text(literal) => text(target, literal, errors),
        StatedKey::Fields(group, names) => parts(target, group, names, errors),
    }
}

fn text(target: &Struct<'_>, literal: &LitStr, errors: &mut Errors) -> Option<Key> {
    let text = literal.value();
    if is_name(bare(&text)) {
        return names::field_named(target, literal, bare(&text), errors).map(Key::Field);
    }
    if names::lists_fields(literal, &text, errors) {
        return None;
    }
    if let Some(expression) = Expression::parse(literal, target) {
        return Some(Key::Expression(expression));
    }
    if template::is_template(&text) && !names::is_code(&text) {
        return names::pieces(target, literal, &text, errors).map(Key::Template);
    }
    errors.at(
        literal,
        "`key` takes the name of a field, a template like `{shop}:{id}`, or a short expression \
         over the fields, as in `user.id` or `format!(\"{shop}-{id}\")`: put what is longer into \
         a method and call it",
    );
    None
}

fn parts(target: &Struct<'_>, group: &Group, names: &[LitStr], errors: &mut Errors) -> Option<Key> {
    let fields = names::parts(target, group, names, errors);
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
    let parts = fields.into_iter().enumerate();
    let parts = parts.map(|(number, field)| Part {
        field,
        name: part_name(&target.fields[field], number),
    });
    Some(Key::Parts(parts.collect()))
}

/// The part of the key that a field fills: the part with its name. The fields of a tuple struct
/// have numbers, and the parts of its key count from 0, whichever fields they come from.
pub(super) fn part_name(field: &Field<'_>, number: usize) -> Member {
    match &field.member {
        Member::Named(name) => Member::Named(name.clone()),
        Member::Unnamed(index) => Member::Unnamed(syn::Index {
            index: u32::try_from(number).unwrap_or(u32::MAX),
            span: index.span,
        }),
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
        match key(&target, &StatedKey::Text(literal), &mut errors) {
            _ if !errors.is_empty() => "refused",
            Some(Key::Field(_)) => "field",
            Some(Key::Template(_)) => "template",
            Some(Key::Expression(_)) => "expression",
            Some(Key::Parts(_)) => "parts",
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
