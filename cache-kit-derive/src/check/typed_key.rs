//! A typed key: its name, and its derives.

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::{Index, Member, Path};

use super::entity_key::EntityKey;
use crate::ast::{Field, Struct};
use crate::attr::entity::EntityAttr;
use crate::diag::Errors;

/// A typed key.
pub(crate) struct TypedKey<'a> {
    pub(crate) parts: Vec<Part>,
    /// Its name, if the user states one.
    pub(crate) name: Option<&'a Ident>,
    /// Its further derives.
    pub(crate) derives: &'a [Path],
}

/// A part of a typed key, and the field that it is copied from.
pub(crate) struct Part {
    /// The position in [`Struct::fields`].
    pub(crate) field: usize,
    /// Its name in the key.
    pub(crate) name: Member,
}

impl Part {
    /// Part `number` of a key, with the name of its field. The fields of a tuple struct have
    /// numbers, and the parts of its key count from 0, whichever fields they come from.
    pub(super) fn of_field(target: &Struct<'_>, field: usize, number: usize) -> Self {
        let Field { member, .. } = &target.fields[field];
        let name = match member {
            Member::Named(name) => Member::Named(name.clone()),
            Member::Unnamed(index) => Member::Unnamed(Index {
                index: u32::try_from(number).unwrap_or(u32::MAX),
                span: index.span,
            }),
        };
        Self { field, name }
    }

    /// The parts that these fields are.
    pub(super) fn of_fields(target: &Struct<'_>, fields: Vec<usize>) -> Vec<Self> {
        let parts = fields.into_iter().enumerate();
        parts
            .map(|(number, field)| Self::of_field(target, field, number))
            .collect()
    }
}

/// Reports what only a typed key has, on another key.
pub(super) fn only_for_parts(attr: &EntityAttr, may_have_been_meant: bool, errors: &mut Errors) {
    if may_have_been_meant {
        return;
    }
    let name = attr.key_name.name();
    let derive = attr.key_derive.name();
    for word in [name, derive].into_iter().flatten() {
        errors.at(
            word,
            format!(
                "`{word}` is for a typed key, `key(\"order_id\", \"item_id\")`, and this key has a \
                 type already: remove it"
            ),
        );
    }
}

/// The traits of every typed key.
const OWN_DERIVES: [&str; 9] = [
    "Clone",
    "Debug",
    "PartialEq",
    "Eq",
    "PartialOrd",
    "Ord",
    "Hash",
    "Display",
    "FromStr",
];

/// Checks that a typed key has a name of its own, and derives only traits that it does not have
/// yet.
pub(super) fn named_well(target: &Struct<'_>, attr: &EntityAttr, errors: &mut Errors) {
    if let Some(name) = attr.key_name.given()
        && is_entity(target, &name.value.0)
    {
        errors.at(
            &name.name,
            "this is the name of the entity: give its key another one",
        );
    }
    for path in attr
        .key_derive
        .value()
        .into_iter()
        .flat_map(|traits| &traits.0)
    {
        if let Some(own) = own_derive(path) {
            errors.at(
                path,
                format!(
                    "a typed key is `{own}` already, or becomes it with its parts: remove this"
                ),
            );
        }
    }
}

fn is_entity(target: &Struct<'_>, name: &Ident) -> bool {
    name.unraw() == target.ident.unraw()
}

/// The trait, if every typed key has it.
fn own_derive(path: &Path) -> Option<&'static str> {
    let last = &path.segments.last()?.ident;
    OWN_DERIVES.into_iter().find(|own| last == own)
}

/// A typed key without its invalid parts, which the fallback generates, too.
pub(super) fn typed<'a>(
    target: &Struct<'_>,
    attr: &'a EntityAttr,
    fields: Vec<usize>,
) -> EntityKey<'a> {
    let name = attr.key_name.value().map(|name| &name.0);
    let derives = attr.key_derive.value().map(|traits| traits.0.as_slice());
    let derives = derives.filter(|paths| paths.iter().all(|path| own_derive(path).is_none()));
    EntityKey::Typed(TypedKey {
        parts: Part::of_fields(target, fields),
        name: name.filter(|name| !is_entity(target, name)),
        derives: derives.unwrap_or_default(),
    })
}
