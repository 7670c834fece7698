//! The rules of `#[derive(CacheEntity)]`.

use std::time::Duration;

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{ExprPath, GenericParam, LitStr, Type};

use super::key::{self, Key, Keyed};
use super::serde::{self, Told};
use super::{mentions, table};
use crate::ast::{Shape, Struct};
use crate::attr::cache::{CacheAttr, FieldMarks, Predicates};
use crate::diag::Errors;
use crate::text::{duration, prefix};

/// An entity that can be expanded.
pub(crate) struct Entity<'a> {
    pub(crate) prefix: Prefix<'a>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) stale_if_error: Option<Duration>,
    pub(crate) negative_ttl: Option<Duration>,
    pub(crate) max_bytes: Option<u32>,
    pub(crate) version: u32,
    pub(crate) validate: Option<&'a ExprPath>,
    pub(crate) bound: Option<&'a Predicates>,
}

/// The beginning of all keys of an entity.
pub(crate) enum Prefix<'a> {
    Text(String),
    /// The return value of this function.
    With(&'a ExprPath),
}

/// Applies every rule. The entity is only used if all rules hold. The fallback also uses what is
/// known about the key.
pub(crate) fn check<'a>(
    shape: &Shape<'_>,
    attr: &'a CacheAttr,
    errors: &mut Errors,
) -> (Entity<'a>, Keyed<'a>) {
    let target = shape.target();
    let prefix = prefix(target, attr, errors);
    generics(target, attr, &prefix, errors);
    let entity = Entity {
        prefix,
        ttl: attr.ttl.as_ref().and_then(|text| lasts(text, errors)),
        stale_if_error: stale_if_error(attr, errors),
        negative_ttl: attr
            .negative_ttl
            .as_ref()
            .and_then(|text| lasts(text, errors)),
        max_bytes: attr.max_bytes,
        version: attr.version.unwrap_or(0),
        validate: attr.validate.as_ref(),
        bound: attr.bound.as_ref().map(|bound| &bound.value),
    };
    let fields = target.fields.iter();
    let marks: Vec<FieldMarks> = fields
        .map(|field| FieldMarks::of_field(field.attrs, errors))
        .collect();
    let mut marked_inside = false;
    let mut inside = Vec::new();
    for variant in shape.variants().unwrap_or_default() {
        let of_variant = FieldMarks::of_variant(variant.attrs, errors);
        marked_inside |= of_variant.key.is_some();
        for field in &variant.fields {
            let marks = FieldMarks::in_variant(field.attrs, errors);
            marked_inside |= marks.key.is_some();
            inside.push(marks);
        }
    }
    let keyed = key::check(shape, attr, &marks, marked_inside, errors);
    let mut key_fields = Vec::new();
    if let Keyed::Known(key) = &keyed {
        no_generic_parts(target, key, errors);
        key_fields = key.fields();
    }
    let told: Vec<Told> = marks
        .into_iter()
        .chain(inside)
        .enumerate()
        .map(|(at, marks)| Told {
            skip_ok: marks.skip_ok,
            is_key: key_fields.contains(&at),
        })
        .collect();
    serde::check(shape, &told, errors);
    (entity, keyed)
}

/// A generic entity must have a prefix for each of its instantiations.
fn generics(target: &Struct<'_>, attr: &CacheAttr, prefix: &Prefix<'_>, errors: &mut Errors) {
    let name = target.ident.unraw();
    for lifetime in target.generics.lifetimes() {
        errors.at(
            &lifetime.lifetime,
            format!(
                "an entity outlives the call that loaded it: give `{name}` fields that own their \
                 data"
            ),
        );
    }
    let param = target
        .generics
        .params
        .iter()
        .find(|param| !matches!(param, GenericParam::Lifetime(_)));
    if let (Some(bound), None) = (&attr.bound, param) {
        errors.at(
            &bound.name,
            format!("`{name}` has no type parameter that could be bound: remove this"),
        );
    }
    let (Some(param), Prefix::Text(prefix)) = (param, prefix) else {
        return;
    };
    if attr.prefix_is_broken {
        return;
    }
    let (one, two) = match param {
        GenericParam::Const(_) => ("1", "2"),
        _ => ("User", "Order"),
    };
    let message = format!(
        "`{name}<{one}>` and `{name}<{two}>` would share the prefix `{prefix}` and answer for each \
         other: give each its own by `prefix_with = path`, the path of a `fn() -> &'static str`"
    );
    match (&attr.prefix, param) {
        (Some(literal), _) => errors.at(literal, message),
        (None, GenericParam::Type(param)) => errors.at(&param.ident, message),
        (None, GenericParam::Const(param)) => errors.at(&param.ident, message),
        (None, GenericParam::Lifetime(_)) => {}
    }
}

/// The parts of a typed key become fields of a struct that has no parameters.
fn no_generic_parts(target: &Struct<'_>, key: &Key<'_>, errors: &mut Errors) {
    let Key::Parts(parts) = key else {
        return;
    };
    for at in &parts.fields {
        let ty = target.fields[*at].ty;
        if mentions(ty.to_token_stream(), target.generics) {
            errors.at(
                ty,
                "a part of a typed key cannot depend on a type parameter: make the key with \
                 `key_with = path` and `key_type = Type`",
            );
        }
    }
}

fn prefix<'a>(target: &Struct<'_>, attr: &'a CacheAttr, errors: &mut Errors) -> Prefix<'a> {
    if let Some(literal) = &attr.prefix {
        if let Some(with) = &attr.prefix_with {
            errors.at(
                &with.name,
                "the entity has a `prefix` already: remove one of the two",
            );
        }
        let text = literal.value();
        if let Err(message) = prefix::check(&text) {
            errors.at(literal, message);
        }
        return Prefix::Text(text);
    }
    if let Some(with) = &attr.prefix_with {
        return Prefix::With(&with.value);
    }
    if let Some(table) = table::of(target) {
        if let Err(message) = prefix::check(&table.name) {
            errors.at(
                &table.at,
                format!("without a `prefix` of its own the entity has the name of its table, but {message}"),
            );
        }
        return Prefix::Text(table.name);
    }
    let name = target.ident.unraw().to_string();
    let text = prefix::of_type(&name);
    if prefix::check(&text).is_err() {
        errors.at(
            target.ident,
            "the name of the type is too long for a prefix: add `prefix = \"…\"`",
        );
    } else if COMMON_NAMES.contains(&text.as_str()) && !attr.unclear && !attr.prefix_is_broken {
        errors.at(
            target.ident,
            format!(
                "many types are called `{name}`, and those that share the prefix `{text}` answer \
                 for each other: say what this one is, as in `prefix = \"order\"`"
            ),
        );
    }
    Prefix::Text(text)
}

/// Names that crates give to the type of every table, as prefixes.
const COMMON_NAMES: [&str; 4] = ["model", "entity", "row", "record"];

fn stale_if_error(attr: &CacheAttr, errors: &mut Errors) -> Option<Duration> {
    let stale = attr.stale_if_error.as_ref()?;
    if attr.ttl.is_none() && !attr.ttl_is_broken {
        errors.at(
            &stale.name,
            "`stale_if_error` begins where `ttl` ends, and there is no `ttl`: add one, as in `ttl = \"30s\"`",
        );
    }
    lasts(&stale.value, errors)
}

fn lasts(literal: &LitStr, errors: &mut Errors) -> Option<Duration> {
    duration::parse(&literal.value())
        .map_err(|message| errors.at(literal, message))
        .ok()
}

/// The types that the key consists of, if they depend on a parameter.
pub(crate) fn generic_key_types<'a>(target: &Struct<'a>, key: &'a Key<'a>) -> Vec<&'a Type> {
    key.types(target)
        .into_iter()
        .filter(|ty| mentions(ty.to_token_stream(), target.generics))
        .collect()
}
