//! The text of a `key`, and how it names fields: on an entity and on a request.

use proc_macro2::{Group, Span};
use syn::ext::IdentExt;
use syn::{LitStr, Member};

use super::expression::Expression;
use crate::ast::{Struct, usable};
use crate::diag::Errors;
use crate::text::template::{self, Piece};

/// What the text of a `key` is.
pub(super) enum KeyText {
    /// The name of a field.
    Field(String),
    /// Several names, `"shop, id"`.
    Fields(Vec<String>),
    Expression(Expression),
    Template,
    /// None of these.
    Unknown,
}

/// A template whose fields exist.
pub(crate) type Template = Vec<Piece<FieldPath>>;

/// A field, and the path from it to a value inside it: `meta.id`.
pub(crate) struct FieldPath {
    /// The position in [`Struct::fields`].
    pub(crate) field: usize,
    pub(crate) rest: Vec<Member>,
}

impl KeyText {
    pub(super) fn of(literal: &LitStr, target: &Struct<'_>) -> Self {
        let text = literal.value();
        if is_name(bare(&text)) {
            return Self::Field(bare(&text).to_owned());
        }
        let names: Vec<&str> = text.split(',').map(str::trim).collect();
        let is_name_of_field = |name: &&str| !name.is_empty() && is_name(bare(name));
        if names.len() > 1 && names.iter().all(is_name_of_field) {
            let names = names.into_iter().map(|name| bare(name).to_owned());
            return Self::Fields(names.collect());
        }
        if let Some(expression) = Expression::parse(literal, target) {
            return Self::Expression(expression);
        }
        if template::is_template(&text) && !is_code(&text) {
            return Self::Template;
        }
        Self::Unknown
    }
}

impl FieldPath {
    /// The field, if it is the value.
    pub(crate) fn whole_field(&self) -> Option<usize> {
        self.rest.is_empty().then_some(self.field)
    }
}

/// Whether a text that has braces is more likely code than a template.
fn is_code(text: &str) -> bool {
    ["()", "(|", "=>", "if ", "match ", "; "]
        .iter()
        .any(|code| text.contains(code))
}

/// Reports several names in one text.
pub(super) fn needs_quotes(literal: &LitStr, names: &[String], errors: &mut Errors) {
    errors.at(
        literal,
        format!(
            "each field of a key has quotes of its own: write `key(\"{}\")`",
            names.join("\", \"")
        ),
    );
}

/// The name of a field, which may be written with `self.` before it.
fn bare(text: &str) -> &str {
    text.strip_prefix("self.").unwrap_or(text)
}

/// Whether the text can only be the name of a field.
fn is_name(text: &str) -> bool {
    let text = text.strip_prefix("r#").unwrap_or(text);
    text.chars().all(|c| c == '_' || c.is_alphanumeric())
}

/// The fields in the parentheses of a `key`, without duplicates.
pub(super) fn fields_named(
    target: &Struct<'_>,
    group: &Group,
    names: &[LitStr],
    errors: &mut Errors,
) -> Vec<usize> {
    // A part that is not text has been reported already.
    if group.stream().is_empty() {
        errors.at(
            group,
            "name the fields of the key, as in `key(\"order_id\", \"item_id\")`",
        );
    }
    let mut fields: Vec<usize> = Vec::new();
    for name in names {
        let Some(at) = field_named(target, name, bare(&name.value()), errors) else {
            continue;
        };
        if fields.contains(&at) {
            errors.at(
                name,
                format!(
                    "`{}` is part of the key already: remove this one",
                    target.fields[at].name
                ),
            );
        } else {
            fields.push(at);
        }
    }
    fields
}

/// Finds the fields of a template.
pub(super) fn template_of(
    target: &Struct<'_>,
    literal: &LitStr,
    errors: &mut Errors,
) -> Option<Template> {
    let pieces = template::parse(&literal.value())
        .map_err(|message| errors.at(literal, message))
        .ok()?;
    // The key is a `String`, whatever the fields are, so the fallback can rely on it.
    let mut known = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => known.push(Piece::Text(text)),
            Piece::Field(name) => {
                let mut names = bare(&name).split('.');
                let field = names.next().unwrap_or_default();
                let rest = names.map(|name| member(name, literal));
                match (target.field(field), rest.collect::<syn::Result<Vec<_>>>()) {
                    (Some(field), Ok(rest)) => {
                        known.push(Piece::Field(FieldPath { field, rest }));
                    }
                    (Some(_), Err(_)) => errors.at(
                        literal,
                        format!(
                            "`{{{}}}` is no field: write one in braces, as in `{{id}}` or \
                             `{{meta.id}}`",
                            name.escape_debug()
                        ),
                    ),
                    (None, _) => errors.at(literal, target.no_such_field(field)),
                }
            }
        }
    }
    Some(known)
}

/// A field of a field, as it is named in a text.
fn member(name: &str, literal: &LitStr) -> syn::Result<Member> {
    let at = Span::call_site().located_at(literal.span());
    Ok(match syn::parse_str(name)? {
        Member::Named(name) => Member::Named(usable(&name.unraw().to_string(), at)),
        Member::Unnamed(number) => Member::Unnamed(number),
    })
}

/// The field `name`, which is written in `literal`.
pub(super) fn field_named(
    target: &Struct<'_>,
    literal: &LitStr,
    name: &str,
    errors: &mut Errors,
) -> Option<usize> {
    let found = target.field(name);
    if found.is_none() {
        errors.at(literal, target.no_such_field(name));
    }
    found
}
