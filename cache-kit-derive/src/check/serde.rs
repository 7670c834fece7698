//! Refuses what serde allows but postcard cannot carry.
//!
//! Postcard writes the fields in order, without names, and a variant as its number. A type that
//! omits a field on one side only, or needs a self-describing format, is read back as something
//! else or not at all.

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Ident, LitStr, Meta};

use super::named::{self_describing, weak};
use crate::ast::{Field, Shape, Variant};
use crate::check::holder::is_nothing;
use crate::diag::Errors;

/// What decides about a field besides serde's attributes.
#[derive(Clone, Default)]
pub(super) struct Told {
    /// The `skip_ok` of `#[cache(skip_ok)]`.
    pub(super) skip_ok: Option<Ident>,
    /// Whether it is part of the key.
    pub(super) is_key: bool,
}

/// Refuses the serde attributes and the field types that postcard cannot carry. `told` belongs to
/// the fields of the shape, in their order.
pub(super) fn check(shape: &Shape<'_>, told: &[Told], errors: &mut Errors) {
    for word in words(shape.target().attrs) {
        let why = match word.to_string().as_str() {
            "untagged" => UNTAGGED,
            "tag" => {
                "stores the name of the type or variant among the fields, and postcard's reader \
                 expects none"
            }
            _ => continue,
        };
        refuse(&word, why, errors);
    }
    let variants = shape.variants().unwrap_or_default();
    for (at, variant) in variants.iter().enumerate() {
        check_variant(variant, &variants[at + 1..], errors);
    }
    let nothing = Told::default();
    let attrs = shape.target().attrs;
    let in_sea_orm = attrs.iter().any(|attr| attr.path().is_ident("sea_orm"));
    for (at, field) in shape.fields().enumerate() {
        check_field(field, told.get(at).unwrap_or(&nothing), in_sea_orm, errors);
    }
}

const UNTAGGED: &str =
    "has the reader guess the variant by the type of the value, which postcard does not write";

fn check_variant(variant: &Variant<'_>, behind: &[Variant<'_>], errors: &mut Errors) {
    for word in words(variant.attrs) {
        if word == "untagged" {
            refuse(&word, UNTAGGED, errors);
        } else if is_unread(&word) && behind.iter().any(|variant| !is_left_out(variant)) {
            errors.at(
                &word,
                format!(
                    "serde counts the variants behind `{}` in one way when it writes and in another \
                     when it reads: move it to the end, or remove `{word}`",
                    variant.name
                ),
            );
        }
    }
}

fn is_left_out(variant: &Variant<'_>) -> bool {
    words(variant.attrs).iter().any(is_unread)
}

fn is_unread(word: &Ident) -> bool {
    word == "skip" || word == "skip_deserializing"
}

fn check_field(field: &Field<'_>, told: &Told, in_sea_orm: bool, errors: &mut Errors) {
    let items = serde_items(field.attrs);
    let words: Vec<&Ident> = items.iter().filter_map(|(word, _)| word.as_ref()).collect();
    let has = |name: &str| words.iter().any(|word| *word == name);
    let mut is_refused = false;
    for word in &words {
        let why = match word.to_string().as_str() {
            "skip_serializing_if" => {
                "leaves the field out now and then, and postcard's reader always expects it"
            }
            "flatten" => "makes a map of unknown length, which postcard cannot write",
            "skip_serializing" if !has("skip_deserializing") => {
                "leaves the field out, and postcard's reader expects it"
            }
            "skip_deserializing" if !has("skip_serializing") => {
                "leaves the field in, and postcard's reader does not expect it"
            }
            _ => continue,
        };
        is_refused = true;
        refuse(word, why, errors);
    }
    if is_refused {
        return;
    }
    let skipped = words.iter().find(|word| is_unread(word));
    match (skipped, &told.skip_ok) {
        (Some(skip), _) if told.is_key => {
            errors.at(
                skip,
                format!(
                    "the key is made of `{}`, and a hit has the default in its place: remove `{skip}`",
                    field.name
                ),
            );
        }
        (Some(skip), None) if !is_nothing(field.ty) => {
            errors.at(
                skip,
                format!(
                    "what is cached loses `{0}`: a miss has its value, and a hit its default. \
                     Remove `{skip}`, or put `#[cache(skip_ok)]` on the field if that is meant",
                    field.name
                ),
            );
        }
        (None, Some(skip_ok)) => {
            errors.at(
                skip_ok,
                format!("`{}` is not skipped: remove `skip_ok`", field.name),
            );
        }
        _ => {}
    }
    for (word, item) in &items {
        if let (Some(word), Some(helper)) = (word, literal(item)) {
            check_helper(word, &helper, errors);
        }
    }
    // A conversion decides how a field is read.
    if skipped.is_some() || ["with", "deserialize_with"].into_iter().any(has) {
        return;
    }
    if let Some(found) = self_describing(field.ty, in_sea_orm) {
        let module = match found.is_number {
            true => "`#[serde(with = \"cache_kit::serde::text\")]` on the field",
            false => {
                "`#[serde(with = \"cache_kit::serde::json\")]` on the field, with cache-kit's feature \
                 `json`"
            }
        };
        let guessed = match found.is_guessed {
            true => "; if it is another type of this name, write its path",
            false => "",
        };
        errors.at(
            found.path,
            format!(
                "this type can be read only from a format that names the type of each value, as \
                 JSON does and postcard does not: put {module}, or convert it otherwise{guessed}"
            ),
        );
    } else if let Some(path) = weak(field.ty) {
        errors.at(
            path,
            "what a `Weak` points to is not stored, so that it comes back dead: hold an `Arc`, or \
             skip the field",
        );
    }
}

/// Modules of other crates that read a value differently from how they write it, or need a
/// self-describing format.
const ONE_WAY_MODULES: [&str; 13] = [
    "serde_with::rust::double_option",
    "serde_with::rust::unwrap_or_skip",
    "either::serde_untagged",
    "either::serde_untagged_optional",
    "rust_decimal::serde::float",
    "rust_decimal::serde::float_option",
    "rust_decimal::serde::arbitrary_precision",
    "rust_decimal::serde::arbitrary_precision_option",
    "bigdecimal::serde::json_num",
    "bigdecimal::serde::json_num_option",
    "time::serde::rfc3339::option",
    "time::serde::rfc2822::option",
    "time::serde::iso8601::option",
];

/// The same among the conversions of `serde_with`, `As::<OneOrMany<_>>`.
const ONE_WAY_CONVERSIONS: [&str; 8] = [
    "OneOrMany",
    "PickFirst",
    "DefaultOnError",
    "KeyValueMap",
    "VecSkipError",
    "MapSkipError",
    "BytesOrString",
    "Flexible",
];

/// Refuses a `with` that is known to be unable to read what it has written.
fn check_helper(word: &Ident, helper: &LitStr, errors: &mut Errors) {
    if !["with", "serialize_with", "deserialize_with"]
        .iter()
        .any(|with| word == with)
    {
        return;
    }
    let text: String = helper.value().split_whitespace().collect();
    let path = text.strip_prefix("::").unwrap_or(&text);
    let module = ["::serialize", "::deserialize"]
        .into_iter()
        .find_map(|function| path.strip_suffix(function))
        .unwrap_or(path);
    let conversion = path
        .split(|c: char| !(c == '_' || c.is_alphanumeric()))
        .find(|name| ONE_WAY_CONVERSIONS.contains(name));
    let one_way = match conversion {
        Some(name) if path.starts_with("serde_with::") => name,
        _ if ONE_WAY_MODULES.contains(&module) => module,
        _ => return,
    };
    errors.at(
        helper,
        format!(
            "what `{one_way}` writes cannot be read back from postcard, which stores no names and \
             no types: convert the field in another way"
        ),
    );
}

/// The text after the `=` of `with = "…"`.
fn literal(item: &TokenStream) -> Option<LitStr> {
    let last = item.clone().into_iter().last()?;
    syn::parse2(last.into()).ok()
}

fn refuse(word: &Ident, why: &str, errors: &mut Errors) {
    let other = match word.to_string().as_str() {
        // Of a type, not of a field alone: as JSON it comes back whole.
        "untagged" | "tag" | "flatten" | "skip_serializing_if" => {
            "keep the type, without this derive, in a field with \
             `#[serde(with = \"cache_kit::serde::json\")]`"
        }
        // Removed, the field would show in what an API answers with.
        _ => {
            "cache a type without the field (see \"Fields that an API hides\" in the guide's page \
             `what_can_be_cached`)"
        }
    };
    errors.at(
        word,
        format!("what is cached cannot have `{word}`: it {why}; {other}, or remove `{word}`"),
    );
}

/// The words of all `#[serde(…)]`.
fn words(attrs: &[Attribute]) -> Vec<Ident> {
    serde_items(attrs)
        .into_iter()
        .filter_map(|(word, _)| word)
        .collect()
}

/// The items in all `#[serde(…)]`: the first word of each, and its tokens.
pub(crate) fn serde_items(attrs: &[Attribute]) -> Vec<Item> {
    items(serde_lists(attrs))
}

/// An item in an attribute: its first word, and its tokens.
pub(super) type Item = (Option<Ident>, TokenStream);

/// The items between the commas of lists.
pub(super) fn items(lists: impl Iterator<Item = TokenStream>) -> Vec<Item> {
    let mut items = Vec::new();
    for list in lists {
        let tokens: Vec<TokenTree> = list.into_iter().collect();
        for item in tokens.split(is_comma) {
            let word = match item.first() {
                Some(TokenTree::Ident(word)) => Some(word.clone()),
                Some(_) => None,
                None => continue,
            };
            items.push((word, item.iter().cloned().collect()));
        }
    }
    items
}

fn is_comma(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',')
}

/// The tokens inside the parentheses of each `#[serde(…)]`.
fn serde_lists(attrs: &[Attribute]) -> impl Iterator<Item = TokenStream> {
    attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::List(list) if list.path.is_ident("serde") => Some(list.tokens.clone()),
        _ => None,
    })
}
