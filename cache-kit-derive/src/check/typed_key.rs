//! A typed key: what it is called, and what it derives.

use proc_macro2::Ident;
use syn::Path;
use syn::ext::IdentExt;

use super::key::Key;
use crate::ast::Struct;
use crate::attr::cache::CacheAttr;
use crate::diag::Errors;

/// A typed key.
pub(crate) struct Parts<'a> {
    pub(crate) fields: Vec<usize>,
    /// What it is called, if the user says.
    pub(crate) name: Option<&'a Ident>,
    /// What it derives besides.
    pub(crate) derives: &'a [Path],
}

/// What only a typed key has.
pub(super) fn only_for_parts(attr: &CacheAttr, may_have_been_meant: bool, errors: &mut Errors) {
    if may_have_been_meant {
        return;
    }
    let name = attr.key_name.as_ref().map(|word| &word.name);
    let derive = attr.key_derive.as_ref().map(|word| &word.name);
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

/// What every typed key has.
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

/// Sees that a typed key has a name of its own, and derives what it has not.
pub(super) fn named_well(target: &Struct<'_>, attr: &CacheAttr, errors: &mut Errors) {
    if let Some(name) = &attr.key_name
        && is_entity(target, &name.value)
    {
        errors.at(
            &name.name,
            "this is the name of the entity: give its key another one",
        );
    }
    for path in attr.key_derive.iter().flat_map(|derive| &derive.value) {
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

/// What every typed key has, if this is it.
fn own_derive(path: &Path) -> Option<&'static str> {
    let last = &path.segments.last()?.ident;
    OWN_DERIVES.into_iter().find(|own| last == own)
}

/// A typed key, which the fallback writes, too: without what is wrong about it.
pub(super) fn typed<'a>(target: &Struct<'_>, attr: &'a CacheAttr, fields: Vec<usize>) -> Key<'a> {
    let name = attr.key_name.as_ref().map(|name| &name.value);
    let derives = attr.key_derive.as_ref().map(|word| word.value.as_slice());
    let derives = derives.filter(|paths| paths.iter().all(|path| own_derive(path).is_none()));
    Key::Parts(Parts {
        fields,
        name: name.filter(|name| !is_entity(target, name)),
        derives: derives.unwrap_or_default(),
    })
}
