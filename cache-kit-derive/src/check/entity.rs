//! The rules of `#[derive(CacheEntity)]`.

use std::time::Duration;

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{ExprPath, GenericParam, Type};

use super::entity_key::{self, EntityKey, Keyed};
use super::serde::{self, Told};
use super::table;
use crate::ast::{Shape, Struct};
use crate::attr::entity::{EntityAttr, EntityMarks};
use crate::diag::Errors;
use crate::text::prefix;
use crate::tokens::mentions;

/// An entity that can be expanded.
pub(crate) struct Entity<'a> {
    pub(crate) prefix: Prefix<'a>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) stale_while_revalidate: Option<Duration>,
    pub(crate) stale_if_error: Option<Duration>,
    pub(crate) answer_within: Option<Duration>,
    pub(crate) negative_ttl: Option<Duration>,
    /// The other attributes mean what they say.
    pub(crate) attr: &'a EntityAttr,
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
    attr: &'a EntityAttr,
    errors: &mut Errors,
) -> (Entity<'a>, Keyed<'a>) {
    let target = shape.target();
    let prefix = prefix(target, attr, errors);
    generics(target, attr, &prefix, errors);
    let ttl = attr.ttl.duration(errors);
    freshness_needs_ttl(attr, errors);
    answer_within_needs_grace(attr, errors);
    let entity = Entity {
        prefix,
        ttl,
        stale_while_revalidate: attr.stale_while_revalidate.duration(errors),
        stale_if_error: attr.stale_if_error.duration(errors),
        answer_within: attr.answer_within.duration(errors),
        negative_ttl: attr.negative_ttl.duration(errors),
        attr,
    };
    let fields = target.fields.iter();
    let marks: Vec<EntityMarks> = fields
        .map(|field| EntityMarks::read(field.attrs, errors))
        .collect();
    let mut marked_inside = false;
    let mut inside = Vec::new();
    for variant in shape.variants().unwrap_or_default() {
        let of_variant = EntityMarks::of_variant(variant.attrs, errors);
        marked_inside |= of_variant.key.is_given();
        for field in &variant.fields {
            let marks = EntityMarks::in_variant(field.attrs, errors);
            marked_inside |= marks.key.is_given();
            inside.push(marks);
        }
    }
    let keyed = entity_key::check(shape, attr, &marks, marked_inside, errors);
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
            skip_ok: marks.skip_ok.into_given().map(|mark| mark.name),
            is_key: key_fields.contains(&at),
        })
        .collect();
    serde::check(shape, &told, errors);
    (entity, keyed)
}

/// A generic entity must have a prefix for each of its instantiations.
fn generics(target: &Struct<'_>, attr: &EntityAttr, prefix: &Prefix<'_>, errors: &mut Errors) {
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
    if let (Some(bound), None) = (attr.bound.name(), param) {
        errors.at(
            bound,
            format!("`{name}` has no type parameter that could be bound: remove this"),
        );
    }
    let (Some(param), Prefix::Text(prefix)) = (param, prefix) else {
        return;
    };
    if attr.prefix.is_broken() || attr.prefix_with.is_broken() {
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
    match (attr.prefix.value(), param) {
        (Some(literal), _) => errors.at(literal, message),
        (None, GenericParam::Type(param)) => errors.at(&param.ident, message),
        (None, GenericParam::Const(param)) => errors.at(&param.ident, message),
        (None, GenericParam::Lifetime(_)) => {}
    }
}

/// The parts of a typed key become fields of a struct that has no parameters.
fn no_generic_parts(target: &Struct<'_>, key: &EntityKey<'_>, errors: &mut Errors) {
    let EntityKey::Typed(key) = key else {
        return;
    };
    let params = target.params();
    for part in &key.parts {
        let ty = target.fields[part.field].ty;
        if mentions(ty.to_token_stream(), &params) {
            errors.at(
                ty,
                "a part of a typed key cannot depend on a type parameter: make the key with \
                 `key_with = path` and `key_type = Type`",
            );
        }
    }
}

fn prefix<'a>(target: &Struct<'_>, attr: &'a EntityAttr, errors: &mut Errors) -> Prefix<'a> {
    if let Some(literal) = attr.prefix.value() {
        if let Some(with) = attr.prefix_with.name() {
            errors.at(
                with,
                "the entity has a `prefix` already: remove one of the two",
            );
        }
        let text = literal.value();
        if let Err(message) = prefix::check(&text) {
            errors.at(literal, message);
        }
        return Prefix::Text(text);
    }
    if let Some(path) = attr.prefix_with.value() {
        return Prefix::With(path);
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
    } else if COMMON_NAMES.contains(&text.as_str())
        && !attr.doubts.unclear
        && !attr.prefix.is_broken()
        && !attr.prefix_with.is_broken()
    {
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

/// What is counted from the time to live says so if there is none.
fn freshness_needs_ttl(attr: &EntityAttr, errors: &mut Errors) {
    if !attr.ttl.is_absent() || attr.doubts.unclear {
        return;
    }
    for (name, what) in [
        (attr.jitter.name(), "shortens `ttl`"),
        (attr.stale_if_error.name(), "begins where `ttl` ends"),
        (
            attr.stale_while_revalidate.name(),
            "begins where `ttl` ends",
        ),
        (attr.refresh_ahead.name(), "refreshes before `ttl` ends"),
    ] {
        if let Some(name) = name {
            errors.at(
                name,
                format!("`{name}` {what}, and there is no `ttl`: add one, as in `ttl = \"30s\"`"),
            );
        }
    }
}

/// A service may have a grace that the entity has not, but then it has a policy that can hold both.
fn answer_within_needs_grace(attr: &EntityAttr, errors: &mut Errors) {
    let has_none = attr.stale_while_revalidate.is_absent() && attr.stale_if_error.is_absent();
    if let Some(name) = attr.answer_within.name()
        && has_none
        && !attr.doubts.unclear
    {
        errors.at(
            name,
            "`answer_within` answers with a stale entry, and there is none without a grace: add \
             `stale_if_error = \"5m\"`, or set it where a `FreshnessPolicy` sets the grace",
        );
    }
}

/// The types that the key consists of, if they depend on a parameter.
pub(crate) fn generic_key_types<'a>(target: &Struct<'a>, key: &'a EntityKey<'a>) -> Vec<&'a Type> {
    let params = target.params();
    let types = key.types(target).into_iter();
    types
        .filter(|ty| mentions(ty.to_token_stream(), &params))
        .collect()
}
