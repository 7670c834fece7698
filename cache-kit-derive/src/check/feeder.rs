//! The rules of `#[derive(CacheFeeder)]`.

use proc_macro2::Ident;
use syn::Type;
use syn::ext::IdentExt;

use super::holds_several;
use crate::ast::Struct;
use crate::attr::feeder::{FeederAttr, FieldMarks};
use crate::diag::{Errors, one_of};

/// Where the answer goes. Numbers are positions in [`Struct::fields`].
#[derive(Clone, Copy)]
pub(crate) enum Slot {
    /// Into this field.
    Field(usize),
    /// Into the feeder that is generated around the request.
    Companion,
}

/// What could be made out. A feeder can be expanded if `entity` and `key` are there and no rule
/// was broken.
pub(crate) struct Feeder<'a> {
    pub(crate) entity: Option<&'a Type>,
    pub(crate) key: Option<usize>,
    pub(crate) slot: Slot,
}

/// Applies every rule.
pub(crate) fn check<'a>(
    target: &Struct<'_>,
    attr: &'a FeederAttr,
    errors: &mut Errors,
) -> Feeder<'a> {
    if attr.entity.is_none() && !attr.entity_is_broken {
        errors.at(
            target.ident,
            format!(
                "`{}` does not say what it asks for: add `#[feeder(entity = User)]` with your \
                 entity",
                target.ident.unraw()
            ),
        );
    }

    let mut keys: Vec<(usize, Ident)> = Vec::new();
    let mut slots: Vec<(usize, Ident)> = Vec::new();
    for (at, field) in target.fields.iter().enumerate() {
        let marks = FieldMarks::of_field(field.attrs, errors);
        if let (Some(_), Some(entity)) = (&marks.key, &marks.entity) {
            errors.at(
                entity,
                "a field is the key or the place of the entity, not both: remove one",
            );
        }
        keys.extend(marks.key.map(|mark| (at, mark)));
        slots.extend(marks.entity.map(|mark| (at, mark)));
    }
    for (_, second) in slots.iter().skip(1) {
        errors.at(
            second,
            "there is one place for the entity: remove this `entity`",
        );
    }
    for (_, second) in keys.iter().skip(1) {
        errors.at(second, "there is one key: remove this `key`");
    }

    let slot = slots
        .first()
        .map_or(Slot::Companion, |(at, _)| Slot::Field(*at));
    let key = match &attr.key {
        Some((word, name)) => {
            if let Slot::Field(_) = slot {
                errors.at(
                    word,
                    "a struct with a place for the entity marks its key: remove this, and put \
                     `#[feeder(key)]` on the field",
                );
            } else {
                for (_, mark) in &keys {
                    errors.at(
                        mark,
                        "the struct has a `key` already: remove one of the two",
                    );
                }
            }
            let found = target.field(&name.value());
            if found.is_none() {
                errors.at(name, target.no_such_field(&name.value()));
            }
            found
        }
        None => match (keys.first(), slot) {
            (Some((at, _)), Slot::Field(_)) => Some(*at),
            (Some((at, mark)), Slot::Companion) => {
                let name = &target.fields[*at].name;
                errors.at(
                    mark,
                    format!(
                        "there is no place for the entity: add a field `#[feeder(entity)] entity: \
                         Option<Arc<…>>`, or write `key = \"{name}\"` on the struct instead to get \
                         a `{}Feeder`",
                        target.ident.unraw()
                    ),
                );
                Some(*at)
            }
            (None, _) => {
                if !attr.key_is_broken {
                    no_key(target, slot, errors);
                }
                None
            }
        },
    };
    if let Some(at) = key
        && holds_several(target.fields[at].ty)
    {
        errors.at(
            target.fields[at].ty,
            "a feeder asks for one entity, and this field holds several keys: give it one key, \
             and make a feeder for each",
        );
    }
    Feeder {
        entity: attr.entity.as_ref(),
        key,
        slot,
    }
}

fn no_key(target: &Struct<'_>, slot: Slot, errors: &mut Errors) {
    let name = target.ident.unraw();
    let (fix, places) = match slot {
        Slot::Field(place) => (
            "put `#[feeder(key)]` on",
            target
                .fields
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != place)
                .collect::<Vec<_>>(),
        ),
        Slot::Companion => (
            "add `key = \"…\"` to `#[feeder(…)]` with",
            target.fields.iter().enumerate().collect(),
        ),
    };
    let names = places.iter().map(|(_, field)| field.name.as_str());
    let message = if places.is_empty() {
        format!("`{name}` has no key: add a field for it and put `#[feeder(key)]` on it")
    } else {
        format!("`{name}` has no key: {fix} {}", one_of(names))
    };
    errors.at(target.ident, message);
}
