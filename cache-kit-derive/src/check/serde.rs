//! What serde allows and postcard cannot carry.
//!
//! Postcard writes the fields one after the other, without names, and a variant as its number. What
//! leaves a field out on one side only, or asks the bytes what they are, is read back as something
//! else or not at all.

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Ident, Meta};

use super::named::self_describing;
use crate::ast::{Field, Shape, Variant};
use crate::diag::Errors;

/// Refuses the serde attributes and the field types that postcard cannot carry.
pub(super) fn check(shape: &Shape<'_>, errors: &mut Errors) {
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
    for field in shape.fields() {
        check_field(field, errors);
    }
}

const UNTAGGED: &str = "has the reader guess the type from the bytes, and postcard's say nothing";

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

fn check_field(field: &Field<'_>, errors: &mut Errors) {
    let words = words(field.attrs);
    let has = |name: &str| words.iter().any(|word| word == name);
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
        refuse(word, why, errors);
    }
    // Who converts a field says how it is read.
    if ["skip", "with", "deserialize_with"].into_iter().any(has) {
        return;
    }
    if let Some(path) = self_describing(field.ty) {
        errors.at(
            path,
            "this type asks the bytes what they are when it is read, and postcard's say nothing: \
             keep it as text, or convert it by `#[serde(with = \"…\")]`",
        );
    }
}

fn refuse(word: &Ident, why: &str, errors: &mut Errors) {
    errors.at(
        word,
        format!(
            "what is cached cannot have `{word}`: it {why}; remove it, or cache a type that has \
             none"
        ),
    );
}

/// The words of all `#[serde(…)]`.
fn words(attrs: &[Attribute]) -> Vec<Ident> {
    serde_items(attrs)
        .into_iter()
        .filter_map(|(word, _)| word)
        .collect()
}

/// What stands in all `#[serde(…)]`, one by one: its first word, and all of it.
pub(crate) fn serde_items(attrs: &[Attribute]) -> Vec<(Option<Ident>, TokenStream)> {
    let mut items = Vec::new();
    for list in serde_lists(attrs) {
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

/// What stands between the parentheses of each `#[serde(…)]`.
fn serde_lists(attrs: &[Attribute]) -> impl Iterator<Item = TokenStream> {
    attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::List(list) if list.path.is_ident("serde") => Some(list.tokens.clone()),
        _ => None,
    })
}
