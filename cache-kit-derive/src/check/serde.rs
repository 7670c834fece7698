//! What serde allows and postcard cannot carry.
//!
//! Postcard writes the fields one after the other, without names. What leaves a field out on one
//! side only, or asks the bytes what they are, is read back as something else or not at all.

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Ident, Meta};

use crate::ast::Struct;
use crate::diag::Errors;

/// Refuses the serde attributes of the struct and its fields that postcard cannot carry.
pub(super) fn check(target: &Struct<'_>, errors: &mut Errors) {
    for word in words(target.attrs) {
        let why = match word.to_string().as_str() {
            "untagged" => {
                "has the reader guess the type from the bytes, and postcard's say nothing"
            }
            "tag" | "content" => {
                "stores the type's name among the fields, which postcard does not read back"
            }
            _ => continue,
        };
        refuse(&word, why, errors);
    }
    for field in &target.fields {
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
    }
}

fn refuse(word: &Ident, why: &str, errors: &mut Errors) {
    errors.at(
        word,
        format!(
            "a cached entity cannot have `{word}`: it {why}; remove it, or cache a struct that \
             has none"
        ),
    );
}

/// The words of all `#[serde(…)]`: what stands at the start and after each comma.
fn words(attrs: &[Attribute]) -> Vec<Ident> {
    let mut words = Vec::new();
    for list in serde_lists(attrs) {
        let mut at_start = true;
        for token in list {
            if let TokenTree::Ident(word) = &token
                && at_start
            {
                words.push(word.clone());
            }
            at_start = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ',');
        }
    }
    words
}

/// What stands between the parentheses of each `#[serde(…)]`.
pub(crate) fn serde_lists(attrs: &[Attribute]) -> impl Iterator<Item = TokenStream> {
    attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::List(list) if list.path.is_ident("serde") => Some(list.tokens.clone()),
        _ => None,
    })
}
