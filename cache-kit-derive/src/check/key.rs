//! How an entity is keyed.

use proc_macro2::{Group, Ident};
use syn::ext::IdentExt;
use syn::{ExprPath, LitStr, Type};

use super::is_float;
use crate::ast::{Shape, Struct};
use crate::attr::cache::{self, CacheAttr, KeyAttr, key_mark};
use crate::diag::{Errors, one_of};
use crate::text::template;

/// How an entity is keyed. Numbers are positions in [`Struct::fields`].
pub(crate) enum Key<'a> {
    /// The field as it is.
    Field(usize),
    /// A `String` made of fields and text.
    Template(Vec<Piece>),
    /// A typed key of these fields.
    Parts(Vec<usize>),
    /// What this function makes of the entity, and its type.
    With(&'a ExprPath, &'a Type),
}

/// A stretch of a template whose fields exist.
pub(crate) enum Piece {
    Text(String),
    Field(usize),
}

impl Key<'_> {
    /// The fields that the key is made of.
    fn fields(&self) -> Vec<usize> {
        match self {
            Self::Field(at) => vec![*at],
            Self::Parts(parts) => parts.clone(),
            Self::Template(pieces) => pieces
                .iter()
                .filter_map(|piece| match piece {
                    Piece::Field(at) => Some(*at),
                    Piece::Text(_) => None,
                })
                .collect(),
            Self::With(..) => Vec::new(),
        }
    }

    /// The types that the key is made of, as often as they stand in it.
    pub(super) fn types<'t>(&'t self, target: &Struct<'t>) -> Vec<&'t Type> {
        match self {
            Self::With(_, ty) => vec![ty],
            key => {
                let fields = key.fields();
                fields.iter().map(|at| target.fields[*at].ty).collect()
            }
        }
    }
}

/// Makes out the key, if there is exactly one.
pub(super) fn check<'a>(
    shape: &Shape<'_>,
    attr: &'a CacheAttr,
    errors: &mut Errors,
) -> Option<Key<'a>> {
    let target = shape.target();
    let marks: Vec<(usize, Ident)> = target
        .fields
        .iter()
        .enumerate()
        .filter_map(|(at, field)| Some((at, key_mark(field.attrs, errors)?)))
        .collect();
    let mut marked_inside = false;
    for variant in shape.variants().unwrap_or_default() {
        marked_inside |= cache::no_marks(variant.attrs, errors);
        for field in &variant.fields {
            marked_inside |= cache::no_marks(field.attrs, errors);
        }
    }
    if attr.key_with.is_some() || attr.key_type.is_some() {
        return key_with(attr, &marks, errors);
    }
    if attr.key_is_broken || marked_inside {
        return None;
    }
    if shape.variants().is_some() {
        errors.at(
            attr.key.as_ref().map_or(target.ident, KeyAttr::name),
            format!(
                "an enum has no field that every variant shares: write `key_with = path` with the \
                 path of a `fn(&{}) -> …`, and `key_type = Type`",
                target.ident.unraw()
            ),
        );
        return None;
    }
    if target.fields.is_empty() {
        errors.at(
            attr.key.as_ref().map_or(target.ident, KeyAttr::name),
            format!(
                "`{0}` has no field that could be the key: add one, or write `key_with = path` \
                 with the path of a `fn(&{0}) -> …`, and `key_type = Type`",
                target.ident.unraw()
            ),
        );
        return None;
    }
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

fn key_with<'a>(
    attr: &'a CacheAttr,
    marks: &[(usize, Ident)],
    errors: &mut Errors,
) -> Option<Key<'a>> {
    if attr.key_with.is_some() {
        let marks = marks.iter().map(|(_, mark)| mark);
        for other in attr.key.iter().map(KeyAttr::name).chain(marks) {
            errors.at(
                other,
                "the entity has a `key_with` already: remove one of the two",
            );
        }
    }
    match (&attr.key_with, &attr.key_type) {
        (Some(with), Some(ty)) => {
            let float = is_float(&ty.value);
            if float {
                errors.at(&ty.value, FLOAT);
            }
            (!float).then_some(Key::With(&with.value, &ty.value))
        }
        _ if attr.key_is_broken => None,
        (Some(with), None) => {
            errors.at(
                &with.name,
                "`key_with` needs the type that its function gives: add `key_type = Type`",
            );
            None
        }
        (None, Some(ty)) => {
            errors.at(
                &ty.name,
                "`key_type` belongs to `key_with = path`: add that, or remove this and let the \
                 type of the field be the key's",
            );
            None
        }
        (None, None) => None,
    }
}

fn stated_key<'a>(target: &Struct<'_>, stated: &KeyAttr, errors: &mut Errors) -> Option<Key<'a>> {
    match stated {
        KeyAttr::Text(_, literal) => {
            let text = literal.value();
            if template::is_template(&text) {
                pieces(target, literal, &text, errors).map(Key::Template)
            } else {
                field_named(target, literal, &text, errors).map(Key::Field)
            }
        }
        KeyAttr::Parts(_, group, names) => {
            let parts = parts(target, group, names, str::to_owned, errors);
            if let [only] = names.as_slice() {
                lone_part(only, errors);
            }
            (!parts.is_empty()).then_some(Key::Parts(parts))
        }
    }
}

/// The fields that are the parts of a key, each once; `bare` makes the name of a field of a text.
pub(super) fn parts(
    target: &Struct<'_>,
    group: &Group,
    names: &[LitStr],
    bare: fn(&str) -> String,
    errors: &mut Errors,
) -> Vec<usize> {
    // A part that is no text has been reported.
    if group.stream().is_empty() {
        errors.at(
            group,
            "name the fields of the key, as in `key(\"order_id\", \"item_id\")`",
        );
    }
    let mut parts: Vec<usize> = Vec::new();
    for name in names {
        let Some(at) = field_named(target, name, &bare(&name.value()), errors) else {
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

pub(super) fn lone_part(only: &LitStr, errors: &mut Errors) {
    errors.at(
        only,
        format!(
            "a key of one field needs no parentheses: write `key = \"{}\"`",
            only.value().escape_debug()
        ),
    );
}

/// What a template is made of.
pub(super) fn pieces(
    target: &Struct<'_>,
    literal: &LitStr,
    text: &str,
    errors: &mut Errors,
) -> Option<Vec<Piece>> {
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
    Some(known)
}

/// The field `name`, which stands in `literal`.
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

const FLOAT: &str = "a float cannot be a key, because `NaN` does not equal itself: use an integer \
                     or a `String`";

/// Refuses floats: `NaN` is not itself, and `0.0` is `-0.0` with another text.
fn no_floats(target: &Struct<'_>, key: &Key<'_>, errors: &mut Errors) -> bool {
    let used = key.fields();
    let mut none = true;
    for (at, field) in target.fields.iter().enumerate() {
        if used.contains(&at) && is_float(field.ty) {
            errors.at(field.ty, FLOAT);
            none = false;
        }
    }
    none
}
