//! `#[feeder(…)]`

use proc_macro2::TokenTree;
use syn::{Attribute, Ident, LitStr, Type};

use super::{Place, Words, alone, equals, path, set, text};
use crate::ast::Crate;
use crate::diag::Errors;

const WORDS: Words = Words {
    attribute: "feeder",
    example: ENTITY,
    on_struct: &["entity", "key", "crate"],
    on_field: &["key", "entity"],
};

const ENTITY: &str = "entity = User";

/// What stands on the struct, as it was written.
#[derive(Default)]
pub(crate) struct FeederAttr {
    pub(crate) entity: Option<Type>,
    /// The word `key` and its value.
    pub(crate) key: Option<(Ident, LitStr)>,
    pub(crate) krate: Crate,
    /// Whether there is an `entity` that could not be read.
    pub(crate) entity_is_broken: bool,
    /// Whether there is a `key` that could not be read.
    pub(crate) key_is_broken: bool,
}

/// What stands on a field.
#[derive(Default)]
pub(crate) struct FieldMarks {
    pub(crate) key: Option<Ident>,
    pub(crate) entity: Option<Ident>,
}

impl FeederAttr {
    /// Reads the attributes of a struct.
    pub(crate) fn of_struct(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::default();
        WORDS.read(attrs, Place::Struct, errors, |name, input, errors| {
            match name.to_string().as_str() {
                "entity" => {
                    let value =
                        entity(name, input).inspect_err(|_| found.entity_is_broken = true)?;
                    set(&mut found.entity, name, value, errors);
                }
                "key" => {
                    let value = text(name, input, "key = \"user_id\"")
                        .inspect_err(|_| found.key_is_broken = true)?;
                    set(&mut found.key, name, (name.clone(), value), errors);
                }
                _ => {
                    let value = path(name, input, "crate = \"my_crate::cache_kit\"")?;
                    set(&mut found.krate.path, name, value, errors);
                }
            }
            Ok(())
        });
        found
    }
}

impl FieldMarks {
    /// Reads the attributes of a field.
    pub(crate) fn of_field(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::default();
        WORDS.read(attrs, Place::Field, errors, |name, input, errors| {
            let slot = if name == "key" {
                &mut found.key
            } else {
                &mut found.entity
            };
            set(slot, name, name.clone(), errors);
            alone(name, input)
        });
        found
    }
}

/// Reads `= User`.
fn entity(name: &Ident, input: syn::parse::ParseStream<'_>) -> syn::Result<Type> {
    equals(name, input, ENTITY)?;
    if let Ok(literal) = input.fork().parse::<LitStr>() {
        return Err(syn::Error::new_spanned(
            &literal,
            format!(
                "`entity` takes a type: remove the quotes, `entity = {}`",
                literal.value().escape_debug()
            ),
        ));
    }
    // On a fork, since a type that is not closed may swallow the words after it.
    if input.fork().parse::<Type>().is_err() {
        return Err(syn::Error::new_spanned(
            input.fork().parse::<TokenTree>()?,
            format!("`entity` takes a type, as in `{ENTITY}`"),
        ));
    }
    input.parse()
}
