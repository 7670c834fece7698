//! `#[feeder(…)]`

use proc_macro2::{Group, TokenTree};
use syn::parse::ParseStream;
use syn::{Attribute, ExprPath, Ident, LitStr, Token, Type, token};

use super::{Doubts, Place, Words, function, path, set, text, texts, ty};
use crate::ast::Crate;
use crate::diag::Errors;

const WORDS: Words = Words {
    attribute: "feeder",
    example: ENTITY,
    on_struct: &[
        "entity",
        "key",
        "name",
        "validate",
        "on_hit",
        "on_miss",
        "on_loaded",
        "crate",
    ],
    on_field: &["key", "entity"],
};

const ENTITY: &str = "entity = User";
const KEY: &str = "key = \"user_id\"";
const PARTS: &str = "key(\"order_id\", \"item_id\")";
const NAME: &str = "name = \"UserFeeder\"";

/// The attributes of the struct, as they were written.
#[derive(Default)]
pub(crate) struct FeederAttr {
    pub(crate) entity: Option<Type>,
    /// The word `key` and its value.
    pub(crate) key: Option<(Ident, KeyAttr)>,
    /// The word `name` and its value.
    pub(crate) name: Option<(Ident, LitStr)>,
    pub(crate) hooks: Hooks,
    pub(crate) krate: Crate,
    /// Whether there is an `entity` that could not be read.
    pub(crate) entity_is_broken: bool,
    /// Whether there is a `key` that could not be read.
    pub(crate) key_is_broken: bool,
    /// Whether some word may have been meant as any other.
    pub(crate) unclear: bool,
}

/// The value of `key`.
pub(crate) enum KeyAttr {
    /// `key = "user_id"`, a template or an expression.
    Text(LitStr),
    /// `key("order_id", "item_id")`, with the parentheses.
    Parts(Group, Vec<LitStr>),
}

/// The hook functions.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) validate: Option<ExprPath>,
    pub(crate) on_hit: Option<ExprPath>,
    pub(crate) on_miss: Option<ExprPath>,
    pub(crate) on_loaded: Option<ExprPath>,
}

/// The attributes of a field.
#[derive(Default)]
pub(crate) struct FieldMarks {
    pub(crate) key: Option<KeyMark>,
    pub(crate) entity: Option<Ident>,
    pub(crate) doubts: Doubts,
}

/// The `key` of `#[feeder(key)]`, and the part of the key in `#[feeder(key = "order_id")]`.
pub(crate) struct KeyMark {
    pub(crate) word: Ident,
    pub(crate) part: Option<LitStr>,
}

impl FeederAttr {
    /// Reads the attributes of a struct.
    pub(crate) fn of_struct(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::default();
        let doubts = WORDS.read(attrs, Place::Struct, errors, |name, input, errors| {
            match name.to_string().as_str() {
                "entity" => {
                    let value =
                        ty(name, input, ENTITY).inspect_err(|_| found.entity_is_broken = true)?;
                    set(&mut found.entity, name, value, errors);
                }
                "key" => {
                    let value =
                        key(name, input, errors).inspect_err(|_| found.key_is_broken = true)?;
                    set(&mut found.key, name, (name.clone(), value), errors);
                }
                "name" => {
                    let value = text(name, input, NAME)?;
                    set(&mut found.name, name, (name.clone(), value), errors);
                }
                "crate" => {
                    let value = path(name, input, "crate = \"my_crate::cache_kit\"")?;
                    set(&mut found.krate.path, name, value, errors);
                }
                other => {
                    let slot = match other {
                        "validate" => &mut found.hooks.validate,
                        "on_hit" => &mut found.hooks.on_hit,
                        "on_miss" => &mut found.hooks.on_miss,
                        _ => &mut found.hooks.on_loaded,
                    };
                    let example = format!("{name} = Self::check");
                    let value = function(name, input, &example)?;
                    set(slot, name, value, errors);
                }
            }
            Ok(())
        });
        found.unclear = doubts.unclear;
        found
    }
}

impl FieldMarks {
    /// Reads the attributes of a field.
    pub(crate) fn of_field(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::default();
        let doubts = WORDS.read(attrs, Place::Field, errors, |name, input, errors| {
            if name == "entity" {
                set(&mut found.entity, name, name.clone(), errors);
                return alone(name, input);
            }
            let part = if input.peek(Token![=]) {
                text(name, input, "key = \"order_id\"").map(Some)
            } else {
                alone(name, input).map(|()| None)
            };
            // The field is the key even if the value is wrong.
            let (part, result) = match part {
                Ok(part) => (part, Ok(())),
                Err(error) => (None, Err(error)),
            };
            let mark = KeyMark {
                word: name.clone(),
                part,
            };
            set(&mut found.key, name, mark, errors);
            result
        });
        found.doubts = doubts;
        found
    }
}

/// Checks that a word of a field has no value.
fn alone(name: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
    if input.is_empty() || input.peek(Token![,]) {
        return Ok(());
    }
    let found: TokenTree = input.fork().parse()?;
    let message = if name == "key" {
        "on a field write `key` alone, or `key = \"order_id\"` with the name of a part of the key"
    } else {
        "on a field `entity` takes no value: write `entity` alone, and the type on the struct"
    };
    Err(syn::Error::new_spanned(found, message))
}

/// Reads `= "user_id"` or `("order_id", "item_id")`.
fn key(name: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<KeyAttr> {
    if input.peek(token::Paren) {
        let group: Group = input.parse()?;
        let parts = texts(&group, errors, PARTS);
        return Ok(KeyAttr::Parts(group, parts));
    }
    text(name, input, KEY).map(KeyAttr::Text)
}
