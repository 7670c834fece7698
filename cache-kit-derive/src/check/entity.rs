//! The rules of `#[derive(CacheEntity)]`.

use std::time::Duration;

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::{GenericParam, LitStr};

use super::{is_float, serde};
use crate::ast::{Field, Struct};
use crate::attr::cache::{CacheAttr, KeyAttr, key_mark};
use crate::diag::{Errors, one_of};
use crate::text::{duration, prefix, template};

/// An entity that can be expanded.
pub(crate) struct Entity {
    pub(crate) prefix: String,
    pub(crate) ttl: Option<Duration>,
    pub(crate) version: u32,
}

/// How an entity is keyed. Numbers are positions in [`Struct::fields`].
pub(crate) enum Key {
    /// The field as it is.
    Field(usize),
    /// A `String` made of fields and text.
    Template(Vec<Piece>),
    /// A typed key of these fields.
    Parts(Vec<usize>),
}

/// A stretch of a template whose fields exist.
pub(crate) enum Piece {
    Text(String),
    Field(usize),
}

/// Applies every rule. The entity counts only if none of them was broken; the key, if it could
/// be made out, serves the fallback too.
pub(crate) fn check(
    target: &Struct<'_>,
    attr: &CacheAttr,
    errors: &mut Errors,
) -> (Entity, Option<Key>) {
    no_generics(target, attr, errors);
    let entity = Entity {
        prefix: prefix(target, attr, errors),
        ttl: attr.ttl.as_ref().and_then(|text| ttl(text, errors)),
        version: attr.version.unwrap_or(0),
    };
    let key = key(target, attr, errors);
    serde::check(target, errors);
    (entity, key)
}

fn no_generics(target: &Struct<'_>, attr: &CacheAttr, errors: &mut Errors) {
    let Some(param) = target.generics.params.first() else {
        return;
    };
    let name = target.ident.unraw();
    let message = match param {
        GenericParam::Lifetime(_) => format!(
            "an entity outlives the call that loaded it: give `{name}` fields that own their data"
        ),
        GenericParam::Type(_) | GenericParam::Const(_) => {
            let stated = attr.prefix.as_ref().map(LitStr::value);
            let prefix = stated.unwrap_or_else(|| prefix::of_type(&name.to_string()));
            let (one, two) = match param {
                GenericParam::Const(_) => ("1", "2"),
                _ => ("User", "Order"),
            };
            format!(
                "`{name}<{one}>` and `{name}<{two}>` would share the prefix `{prefix}` and answer \
                 for each other: derive it for a struct that wraps one of them, or implement \
                 `CacheEntity` by hand with a prefix for each"
            )
        }
    };
    match param {
        GenericParam::Lifetime(param) => errors.at(&param.lifetime, message),
        GenericParam::Type(param) => errors.at(&param.ident, message),
        GenericParam::Const(param) => errors.at(&param.ident, message),
    }
}

fn prefix(target: &Struct<'_>, attr: &CacheAttr, errors: &mut Errors) -> String {
    if let Some(literal) = &attr.prefix {
        let text = literal.value();
        if let Err(message) = prefix::check(&text) {
            errors.at(literal, message);
        }
        return text;
    }
    let name = target.ident.unraw().to_string();
    let text = prefix::of_type(&name);
    if prefix::check(&text).is_err() {
        errors.at(
            target.ident,
            "the name of the type is too long for a prefix: add `prefix = \"…\"`",
        );
    }
    text
}

fn ttl(literal: &LitStr, errors: &mut Errors) -> Option<Duration> {
    duration::parse(&literal.value())
        .map_err(|message| errors.at(literal, message))
        .ok()
}

fn key(target: &Struct<'_>, attr: &CacheAttr, errors: &mut Errors) -> Option<Key> {
    let marks: Vec<(usize, Ident)> = target
        .fields
        .iter()
        .enumerate()
        .filter_map(|(at, field)| Some((at, key_mark(field.attrs, errors)?)))
        .collect();
    let key = match &attr.key {
        Some(stated) => {
            for (_, mark) in &marks {
                errors.at(
                    mark,
                    "the struct has a `key` already: remove one of the two",
                );
            }
            stated_key(target, stated, errors)?
        }
        None if attr.key_is_broken => return None,
        None => match marks.as_slice() {
            [] => {
                no_key(target, errors);
                return None;
            }
            [(at, _)] => Key::Field(*at),
            marks => Key::Parts(marks.iter().map(|(at, _)| *at).collect()),
        },
    };
    no_floats(target, &key, errors).then_some(key)
}

fn stated_key(target: &Struct<'_>, stated: &KeyAttr, errors: &mut Errors) -> Option<Key> {
    match stated {
        KeyAttr::Text(literal) => {
            let text = literal.value();
            if template::is_template(&text) {
                template_key(target, literal, &text, errors)
            } else {
                field_named(target, literal, errors).map(Key::Field)
            }
        }
        KeyAttr::Parts(group, names) => {
            if names.is_empty() {
                // A part that is no text has been reported.
                if group.stream().is_empty() {
                    errors.at(
                        group,
                        "name the fields of the key, as in `key(\"order_id\", \"item_id\")`",
                    );
                }
                return None;
            }
            let mut parts: Vec<usize> = Vec::new();
            for name in names {
                let Some(at) = field_named(target, name, errors) else {
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
            if let [only] = names.as_slice() {
                let name = only.value();
                errors.at(
                    only,
                    format!(
                        "a key of one field needs no parentheses: write `key = \"{}\"`",
                        name.escape_debug()
                    ),
                );
            }
            (!parts.is_empty()).then_some(Key::Parts(parts))
        }
    }
}

fn template_key(
    target: &Struct<'_>,
    literal: &LitStr,
    text: &str,
    errors: &mut Errors,
) -> Option<Key> {
    let pieces = template::parse(text)
        .map_err(|message| errors.at(literal, message))
        .ok()?;
    // The key is a `String` whatever the fields are, so the fallback can rely on it.
    let mut known = Vec::new();
    for piece in pieces {
        match piece {
            template::Piece::Text(text) => known.push(Piece::Text(text)),
            template::Piece::Field(name) => match target.field(&name) {
                Some(at) => known.push(Piece::Field(at)),
                None => errors.at(literal, target.no_such_field(&name)),
            },
        }
    }
    Some(Key::Template(known))
}

fn field_named(target: &Struct<'_>, literal: &LitStr, errors: &mut Errors) -> Option<usize> {
    let name = literal.value();
    let found = target.field(&name);
    if found.is_none() {
        errors.at(literal, target.no_such_field(&name));
    }
    found
}

fn no_key(target: &Struct<'_>, errors: &mut Errors) {
    let name = target.ident.unraw();
    let fix = match target.field("id") {
        Some(_) => "add `#[cache(key = \"id\")]`".to_owned(),
        None => format!(
            "add `#[cache(key = \"…\")]` with {}",
            one_of(target.field_names())
        ),
    };
    errors.at(target.ident, format!("`{name}` has no key: {fix}"));
}

/// Refuses floats: `NaN` is not itself, and `0.0` is `-0.0` with another text.
fn no_floats(target: &Struct<'_>, key: &Key, errors: &mut Errors) -> bool {
    let used: Vec<usize> = match key {
        Key::Field(at) => vec![*at],
        Key::Parts(parts) => parts.clone(),
        Key::Template(pieces) => pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Field(at) => Some(*at),
                Piece::Text(_) => None,
            })
            .collect(),
    };
    let mut none = true;
    for (at, field) in target.fields.iter().enumerate() {
        let Field { ty, .. } = field;
        if used.contains(&at) && is_float(ty) {
            errors.at(
                ty,
                "a float cannot be a key, because `NaN` does not equal itself: use an integer or \
                 a `String`",
            );
            none = false;
        }
    }
    none
}
