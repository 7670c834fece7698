//! `#[cache(…)]` as `CacheEntity` reads it.

use proc_macro2::Group;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, ExprPath, Ident, LitInt, LitStr, Path, Token, Type, WherePredicate, token};

use super::{
    Doubts, Place, Words, alone, equals, function, number, path, set, text, texts, ty, type_name,
};
use crate::ast::Crate;
use crate::diag::Errors;
use crate::text::size;

pub(super) const WORDS: Words = Words {
    attribute: "cache",
    example: KEY,
    on_struct: &[
        "prefix",
        "prefix_with",
        "key",
        "key_with",
        "key_type",
        "key_name",
        "key_derive",
        "ttl",
        "stale_if_error",
        "negative_ttl",
        "max_bytes",
        "version",
        "validate",
        "bound",
        "crate",
    ],
    on_field: &["key", "skip_ok"],
};

const KEY: &str = "key = \"id\"";
const PARTS: &str = "key(\"order_id\", \"item_id\")";

/// The attributes of the type, as they were written.
#[derive(Default)]
pub(crate) struct CacheAttr {
    pub(crate) prefix: Option<LitStr>,
    pub(crate) prefix_with: Option<Word<ExprPath>>,
    /// Whether there is a `prefix` or a `prefix_with` that could not be read.
    pub(crate) prefix_is_broken: bool,
    pub(crate) key: Option<KeyAttr>,
    /// Whether there is a `key`, a `key_with` or a `key_type` that could not be read.
    pub(crate) key_is_broken: bool,
    /// Whether some word may have been meant as the key.
    pub(crate) unclear: bool,
    pub(crate) key_with: Option<Word<ExprPath>>,
    pub(crate) key_type: Option<Word<Type>>,
    pub(crate) key_name: Option<Word<Ident>>,
    pub(crate) key_derive: Option<Word<Vec<Path>>>,
    pub(crate) ttl: Option<LitStr>,
    /// Whether there is a `ttl` that could not be read.
    pub(crate) ttl_is_broken: bool,
    pub(crate) stale_if_error: Option<Word<LitStr>>,
    pub(crate) negative_ttl: Option<LitStr>,
    pub(crate) max_bytes: Option<u32>,
    pub(crate) version: Option<u32>,
    pub(crate) validate: Option<ExprPath>,
    pub(crate) bound: Option<Word<Predicates>>,
    pub(crate) krate: Crate,
}

/// The predicates of a where-clause.
pub(crate) type Predicates = Punctuated<WherePredicate, Token![,]>;

/// A word and its value, so that an error can point at either.
pub(crate) struct Word<T> {
    pub(crate) name: Ident,
    pub(crate) value: T,
}

/// The value of `key`.
pub(crate) enum KeyAttr {
    /// `key = "id"` or `key = "{a}:{b}"`
    Text(Ident, LitStr),
    /// `key("a", "b")`, with the parentheses.
    Parts(Ident, Group, Vec<LitStr>),
}

impl KeyAttr {
    /// The word `key`.
    pub(crate) fn name(&self) -> &Ident {
        match self {
            Self::Text(name, _) | Self::Parts(name, ..) => name,
        }
    }
}

impl CacheAttr {
    /// Reads the attributes of a type.
    pub(crate) fn of_type(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::default();
        let doubts = WORDS.read(attrs, Place::Struct, errors, |name, input, errors| {
            found.read(name, input, errors)
        });
        found.unclear = doubts.unclear;
        found
    }

    fn read(
        &mut self,
        name: &Ident,
        input: ParseStream<'_>,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        match name.to_string().as_str() {
            "prefix" => {
                let value = text(name, input, "prefix = \"user\"")
                    .inspect_err(|_| self.prefix_is_broken = true)?;
                set(&mut self.prefix, name, value, errors);
            }
            "prefix_with" => {
                let value = function(name, input, "prefix_with = T::page_prefix")
                    .inspect_err(|_| self.prefix_is_broken = true)?;
                set(&mut self.prefix_with, name, Word::new(name, value), errors);
            }
            "key_with" => {
                let value = function(name, input, "key_with = Self::number")
                    .inspect_err(|_| self.key_is_broken = true)?;
                set(&mut self.key_with, name, Word::new(name, value), errors);
            }
            "key_type" => {
                let value =
                    ty(name, input, "key_type = u64").inspect_err(|_| self.key_is_broken = true)?;
                set(&mut self.key_type, name, Word::new(name, value), errors);
            }
            "key_name" => {
                let value = type_name(name, input, "key_name = \"OrderId\"")?;
                set(&mut self.key_name, name, Word::new(name, value), errors);
            }
            "key_derive" => {
                let value = traits(name, input)?;
                set(&mut self.key_derive, name, Word::new(name, value), errors);
            }
            "ttl" => {
                let value = text(name, input, "ttl = \"30s\"")
                    .inspect_err(|_| self.ttl_is_broken = true)?;
                set(&mut self.ttl, name, value, errors);
            }
            "stale_if_error" => {
                let value = text(name, input, "stale_if_error = \"5m\"")?;
                set(
                    &mut self.stale_if_error,
                    name,
                    Word::new(name, value),
                    errors,
                );
            }
            "negative_ttl" => {
                let value = text(name, input, "negative_ttl = \"10s\"")?;
                set(&mut self.negative_ttl, name, value, errors);
            }
            "max_bytes" => {
                let value = bytes(name, input)?;
                set(&mut self.max_bytes, name, value, errors);
            }
            "version" => {
                let value = number(name, input, "version = 2")?;
                set(&mut self.version, name, value, errors);
            }
            "validate" => {
                let value = function(name, input, "validate = Self::check")?;
                set(&mut self.validate, name, value, errors);
            }
            "bound" => {
                let value = predicates(name, input)?;
                set(&mut self.bound, name, Word::new(name, value), errors);
            }
            "crate" => {
                let value = path(name, input, "crate = \"my_crate::cache_kit\"")?;
                set(&mut self.krate.path, name, value, errors);
            }
            _ => self.read_key(name, input, errors)?,
        }
        Ok(())
    }

    fn read_key(
        &mut self,
        name: &Ident,
        input: ParseStream<'_>,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        let value = if input.peek(token::Paren) {
            let group: Group = input.parse()?;
            let parts = texts(&group, errors, PARTS);
            KeyAttr::Parts(name.clone(), group, parts)
        } else {
            let value = text(name, input, KEY);
            let value = value.inspect_err(|_| self.key_is_broken = true)?;
            KeyAttr::Text(name.clone(), value)
        };
        if self.key.is_some() {
            errors.at(
                name,
                format!(
                    "an entity has one key: remove one `key`, or write `{PARTS}` for a key of \
                     several fields"
                ),
            );
        } else {
            self.key = Some(value);
        }
        Ok(())
    }
}

impl<T> Word<T> {
    fn new(name: &Ident, value: T) -> Self {
        let name = name.clone();
        Self { name, value }
    }
}

/// The attributes of a field.
#[derive(Default)]
pub(crate) struct FieldMarks {
    pub(crate) key: Option<Ident>,
    /// The loss of the field is intended.
    pub(crate) skip_ok: Option<Ident>,
    pub(crate) doubts: Doubts,
}

impl FieldMarks {
    /// Reads the attributes of a field of a struct.
    pub(crate) fn of_field(attrs: &[Attribute], errors: &mut Errors) -> Self {
        Self::read(attrs, Place::Field, errors)
    }

    /// Reads the attributes of a field of a variant, where `key` is not allowed.
    pub(crate) fn in_variant(attrs: &[Attribute], errors: &mut Errors) -> Self {
        Self::read(attrs, Place::InEnum, errors)
    }

    /// Reads the attributes of a variant, where nothing is allowed.
    pub(crate) fn of_variant(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::in_variant(attrs, errors);
        if let Some(skip_ok) = found.skip_ok.take() {
            errors.at(skip_ok, "`skip_ok` belongs on a field that is skipped");
        }
        found
    }

    fn read(attrs: &[Attribute], place: Place, errors: &mut Errors) -> Self {
        let mut found = Self::default();
        let doubts = WORDS.read(attrs, place, errors, |name, input, errors| {
            let mark = if name == "skip_ok" {
                &mut found.skip_ok
            } else {
                if place == Place::InEnum {
                    errors.at(
                        name,
                        "the variants of an enum share no field: remove this, and add \
                         `key_with = path` and `key_type = Type` to the enum",
                    );
                }
                &mut found.key
            };
            set(mark, name, name.clone(), errors);
            alone(name, input)
        });
        found.doubts = doubts;
        found
    }
}

/// Reads `= 65536` or `= "64 KiB"`.
fn bytes(name: &Ident, input: ParseStream<'_>) -> syn::Result<u32> {
    let example = "max_bytes = \"64 KiB\"";
    equals(name, input, example)?;
    if let Ok(literal) = input.fork().parse::<LitStr>() {
        let bytes = size::parse(&literal.value())
            .map_err(|message| syn::Error::new_spanned(&literal, message))?;
        input.parse::<LitStr>()?;
        return Ok(bytes);
    }
    let wrong = |found: &dyn quote::ToTokens| {
        syn::Error::new_spanned(
            found,
            format!(
                "`{name}` takes a number of bytes from 1 to {}, as in `{example}`",
                u32::MAX
            ),
        )
    };
    match input.fork().parse::<LitInt>() {
        Ok(literal) => {
            let number = literal.base10_parse().ok().filter(|bytes| *bytes > 0);
            let number = number.ok_or_else(|| wrong(&literal))?;
            input.parse::<LitInt>()?;
            Ok(number)
        }
        Err(_) => Err(wrong(&input.fork().parse::<proc_macro2::TokenTree>()?)),
    }
}

/// Reads `= "T: Clone, U: Copy"`.
fn predicates(name: &Ident, input: ParseStream<'_>) -> syn::Result<Predicates> {
    let example = "bound = \"T: PagePrefix\"";
    let literal = text(name, input, example)?;
    let parsed = literal.parse_with(Predicates::parse_terminated);
    match parsed {
        Ok(predicates) if !predicates.is_empty() => Ok(predicates),
        Ok(_) => Err(syn::Error::new_spanned(
            &literal,
            format!("the bound is empty: remove it, or write one as in `{example}`"),
        )),
        Err(_) => Err(syn::Error::new_spanned(
            &literal,
            format!("`{name}` takes what stands behind a `where`, as in `{example}`"),
        )),
    }
}

/// Reads `(Copy, serde::Serialize)`.
fn traits(name: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Path>> {
    let example = "key_derive(Copy, serde::Serialize)";
    let wrong = |found: &dyn quote::ToTokens| {
        syn::Error::new_spanned(
            found,
            format!("`{name}` takes traits in parentheses, as in `{example}`"),
        )
    };
    if !input.peek(token::Paren) {
        return Err(wrong(name));
    }
    let group: Group = input.parse()?;
    let paths = Punctuated::<Path, Token![,]>::parse_terminated_with;
    let paths = |input: ParseStream<'_>| paths(input, Path::parse_mod_style);
    match paths.parse2(group.stream()) {
        Ok(paths) if !paths.is_empty() => Ok(paths.into_iter().collect()),
        _ => Err(wrong(&group)),
    }
}
