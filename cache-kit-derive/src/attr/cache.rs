//! `#[cache(…)]`

use proc_macro2::Group;
use syn::{Attribute, Ident, LitStr, token};

use super::{Place, Words, alone, number, path, set, text, texts};
use crate::ast::Crate;
use crate::diag::Errors;

const WORDS: Words = Words {
    attribute: "cache",
    example: KEY,
    on_struct: &["prefix", "key", "ttl", "version", "crate"],
    on_field: &["key"],
};

const KEY: &str = "key = \"id\"";
const PARTS: &str = "key(\"order_id\", \"item_id\")";

/// What stands on the struct, as it was written.
#[derive(Default)]
pub(crate) struct CacheAttr {
    pub(crate) prefix: Option<LitStr>,
    pub(crate) key: Option<KeyAttr>,
    /// Whether there is a `key` that could not be read.
    pub(crate) key_is_broken: bool,
    pub(crate) ttl: Option<LitStr>,
    pub(crate) version: Option<u32>,
    pub(crate) krate: Crate,
}

/// The value of `key`.
pub(crate) enum KeyAttr {
    /// `key = "id"` or `key = "{a}:{b}"`
    Text(LitStr),
    /// `key("a", "b")`, with the parentheses.
    Parts(Group, Vec<LitStr>),
}

impl CacheAttr {
    /// Reads the attributes of a struct.
    pub(crate) fn of_struct(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::default();
        WORDS.read(attrs, Place::Struct, errors, |name, input, errors| {
            match name.to_string().as_str() {
                "prefix" => {
                    let value = text(name, input, "prefix = \"user\"")?;
                    set(&mut found.prefix, name, value, errors);
                }
                "ttl" => {
                    let value = text(name, input, "ttl = \"30s\"")?;
                    set(&mut found.ttl, name, value, errors);
                }
                "version" => {
                    let value = number(name, input, "version = 2")?;
                    set(&mut found.version, name, value, errors);
                }
                "crate" => {
                    let value = path(name, input, "crate = \"my_crate::cache_kit\"")?;
                    set(&mut found.krate.path, name, value, errors);
                }
                _ => {
                    let value = if input.peek(token::Paren) {
                        let group: Group = input.parse()?;
                        let parts = texts(&group, errors, PARTS);
                        KeyAttr::Parts(group, parts)
                    } else {
                        let value = text(name, input, KEY);
                        KeyAttr::Text(value.inspect_err(|_| found.key_is_broken = true)?)
                    };
                    if found.key.is_some() {
                        errors.at(
                            name,
                            format!(
                                "an entity has one key: remove one `key`, or write `{PARTS}` for \
                                 a key of several fields"
                            ),
                        );
                    } else {
                        found.key = Some(value);
                    }
                }
            }
            Ok(())
        });
        found
    }
}

/// Reads the attributes of a field: the `key` of `#[cache(key)]`, if it is there.
pub(crate) fn key_mark(attrs: &[Attribute], errors: &mut Errors) -> Option<Ident> {
    let mut mark = None;
    WORDS.read(attrs, Place::Field, errors, |name, input, errors| {
        set(&mut mark, name, name.clone(), errors);
        alone(name, input)
    });
    mark
}
