//! `#[cache(…)]` as `CacheSchema` reads it.

use syn::{Attribute, Ident};

use super::cache as entity;
use super::{Place, Words, alone, number, path, set};
use crate::ast::Crate;
use crate::diag::Errors;

pub(super) const WORDS: Words = Words {
    attribute: "cache",
    example: VERSION,
    on_struct: &["version", "crate"],
    on_field: &["skip_ok"],
};

const VERSION: &str = "version = 2";

/// The attributes of the type, as they were written.
#[derive(Default)]
pub(crate) struct SchemaAttr {
    pub(crate) version: Option<u32>,
    pub(crate) krate: Crate,
}

impl SchemaAttr {
    /// Reads the attributes of a type.
    pub(crate) fn of_type(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::default();
        WORDS.read(attrs, Place::Struct, errors, |name, input, errors| {
            if name == "version" {
                let value = number(name, input, VERSION)?;
                set(&mut found.version, name, value, errors);
            } else {
                let value = path(name, input, "crate = \"my_crate::cache_kit\"")?;
                set(&mut found.krate.path, name, value, errors);
            }
            Ok(())
        });
        found
    }
}

/// Whether there is a word that only an entity has. An entity implements `CacheSchema` already.
pub(crate) fn is_of_entity(attrs: &[Attribute]) -> bool {
    attrs
        .iter()
        .filter(|attr| attr.path().is_ident(WORDS.attribute))
        .filter_map(|attr| attr.meta.require_list().ok())
        .flat_map(|list| list.tokens.clone())
        .any(|token| {
            let word = token.to_string();
            entity::WORDS.knows(&word) && !WORDS.knows(&word)
        })
}

/// Reads the attributes of a field: the `skip_ok` of `#[cache(skip_ok)]`, if it is there.
pub(crate) fn skip_ok(attrs: &[Attribute], errors: &mut Errors) -> Option<Ident> {
    let mut mark = None;
    WORDS.read(attrs, Place::Field, errors, |name, input, errors| {
        set(&mut mark, name, name.clone(), errors);
        alone(name, input)
    });
    mark
}

/// Reports every word on a variant: none is allowed there.
pub(crate) fn no_marks(attrs: &[Attribute], errors: &mut Errors) {
    let words = Words {
        on_field: &[],
        ..WORDS
    };
    words.read(attrs, Place::Field, errors, |_, _, _| Ok(()));
}
