//! How the text of a `key` names fields, on an entity and on a request.

use proc_macro2::{Group, Span};
use syn::ext::IdentExt;
use syn::{LitStr, Member};

use crate::ast::{Struct, usable};
use crate::diag::Errors;
use crate::text::template;

/// A piece of a template whose fields exist.
pub(crate) enum Piece {
    Text(String),
    /// A field, and the path from it to the value: `{meta.id}`.
    Field(usize, Vec<Member>),
}

impl Piece {
    /// The field itself, if there is no further path.
    pub(crate) fn whole_field(&self) -> Option<usize> {
        match self {
            Self::Field(at, way) if way.is_empty() => Some(*at),
            _ => None,
        }
    }
}

/// Whether a text that has braces is more likely code than a template.
pub(super) fn is_code(text: &str) -> bool {
    ["()", "(|", "=>", "if ", "match ", "; "]
        .iter()
        .any(|code| text.contains(code))
}

/// Reports a list of fields in one text, `"shop, id"`, if it is one.
pub(super) fn lists_fields(literal: &LitStr, text: &str, errors: &mut Errors) -> bool {
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    let is_list = names.len() > 1
        && names
            .iter()
            .all(|name| !name.is_empty() && is_name(bare(name)));
    if is_list {
        let names: Vec<&str> = names.into_iter().map(bare).collect();
        errors.at(
            literal,
            format!(
                "each field of a key has quotes of its own: write `key(\"{}\")`",
                names.join("\", \"")
            ),
        );
    }
    is_list
}

/// The name of a field, which may be written with `self.` before it.
pub(super) fn bare(text: &str) -> &str {
    text.strip_prefix("self.").unwrap_or(text)
}

/// Whether the text can only be the name of a field.
pub(super) fn is_name(text: &str) -> bool {
    let text = text.strip_prefix("r#").unwrap_or(text);
    text.chars().all(|c| c == '_' || c.is_alphanumeric())
}

/// The fields that are the parts of a key, without duplicates.
pub(super) fn parts(
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
    let mut parts: Vec<usize> = Vec::new();
    for name in names {
        let Some(at) = field_named(target, name, bare(&name.value()), errors) else {
            continue;
        };
        if parts.contains(&at) {
            errors.at(
                name,
                format!(
                    "`{}` is part of the key already: remove this one",
                    target.fields[at].name
                ),
            );
        } else {
            parts.push(at);
        }
    }
    parts
}

/// The pieces of a template.
pub(super) fn pieces(
    target: &Struct<'_>,
    literal: &LitStr,
    text: &str,
    errors: &mut Errors,
) -> Option<Vec<Piece>> {
    let pieces = template::parse(text)
        .map_err(|message| errors.at(literal, message))
        .ok()?;
    // The key is a `String`, whatever the fields are, so the fallback can rely on it.
    let mut known = Vec::new();
    for piece in pieces {
        match piece {
            template::Piece::Text(text) => known.push(Piece::Text(text)),
            template::Piece::Field(name) => {
                let mut names = bare(&name).split('.');
                let field = names.next().unwrap_or_default();
                let way = names.map(|name| member(name, literal));
                match (target.field(field), way.collect::<syn::Result<Vec<_>>>()) {
                    (Some(at), Ok(way)) => known.push(Piece::Field(at, way)),
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
