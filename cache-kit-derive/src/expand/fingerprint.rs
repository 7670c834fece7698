//! The schema fingerprint: a number that changes when the shape of an entity does.
//!
//! It goes into stored entries, so it must come out the same with every compiler and on every
//! platform: the tokens are written out here, and not by their `Display`, whose blanks differ
//! between compilers.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::Attribute;
use syn::ext::IdentExt;

use crate::ast::Struct;
use crate::check::serde::serde_lists;

/// The fingerprint of the fields' names, types, order and serde attributes, of the struct's own
/// serde attributes, and of `version`. The names of types that stand in other modules count,
/// what is in them doesn't.
pub(super) fn of(target: &Struct<'_>, version: u32) -> u64 {
    let mut hash = Fnv1a::default();
    hash.bytes(&version.to_le_bytes());
    hash.serde(target.attrs);
    for field in &target.fields {
        hash.text(&field.name);
        hash.text(&canonical(field.ty.to_token_stream()));
        hash.serde(field.attrs);
    }
    // 0 belongs to the entities that state no schema.
    hash.state.max(1)
}

/// The tokens with one blank between any two.
fn canonical(tokens: TokenStream) -> String {
    let mut words = Vec::new();
    collect(tokens, &mut words);
    words.join(" ")
}

fn collect(tokens: TokenStream, words: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    // What a macro passes on as `$t:ty` is the type that was written.
                    Delimiter::None => {
                        collect(group.stream(), words);
                        continue;
                    }
                };
                words.push(open.to_owned());
                collect(group.stream(), words);
                words.push(close.to_owned());
            }
            TokenTree::Ident(ident) => words.push(ident.unraw().to_string()),
            TokenTree::Punct(punct) => words.push(punct.as_char().to_string()),
            TokenTree::Literal(literal) => words.push(literal.to_string()),
        }
    }
}

/// FNV-1a, 64 bits.
struct Fnv1a {
    state: u64,
}

impl Default for Fnv1a {
    fn default() -> Self {
        Self {
            state: 0xcbf2_9ce4_8422_2325,
        }
    }
}

impl Fnv1a {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.state ^= u64::from(*byte);
            self.state = self.state.wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// The text with its length before it, so that no two lists of texts are the same bytes.
    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.bytes(text.as_bytes());
    }

    /// What serde is told, with the number of attributes before it.
    fn serde(&mut self, attrs: &[Attribute]) {
        let lists: Vec<String> = serde_lists(attrs).map(canonical).collect();
        self.length(lists.len());
        lists.iter().for_each(|list| self.text(list));
    }

    /// As eight bytes on every platform.
    fn length(&mut self, length: usize) {
        self.bytes(&(length as u64).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Errors;

    fn fingerprint(source: &str, version: u32) -> syn::Result<u64> {
        let input = syn::parse_str(source)?;
        let mut errors = Errors::default();
        let target = Struct::new(&input, "CacheEntity", &mut errors);
        Ok(target.map_or(0, |target| of(&target, version)))
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        for (text, expected) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            let mut hash = Fnv1a::default();
            hash.bytes(text.as_bytes());
            assert_eq!(hash.state, expected, "{text}");
        }
    }

    #[test]
    fn blanks_comments_and_raw_names_change_nothing() -> syn::Result<()> {
        let one = fingerprint("struct A { id: Vec<Option<u8>>, kind: &'static str }", 0)?;
        for same in [
            "struct A{id:Vec<Option<u8> >,kind:&'static str,}",
            "pub struct B { /// a comment\n pub id : Vec < Option < u8 > > , r#kind: & 'static str }",
            "#[derive(Clone)] #[cache(prefix = \"x\")] struct A { id: Vec<Option<u8>>, #[cache(key)] kind: &'static str }",
        ] {
            assert_eq!(fingerprint(same, 0)?, one, "{same}");
        }
        Ok(())
    }

    #[test]
    fn everything_that_changes_the_bytes_changes_it() -> syn::Result<()> {
        let mut seen = std::collections::HashSet::new();
        for (source, version) in [
            ("struct A { id: String, n: u8 }", 0),
            ("struct A { id: String, n: u8 }", 1),
            ("struct A { id: String, m: u8 }", 0),
            ("struct A { id: String, n: u16 }", 0),
            ("struct A { n: u8, id: String }", 0),
            ("struct A { id: String }", 0),
            ("struct A { id: String, n: u8, o: u8 }", 0),
            ("struct A(String, u8);", 0),
            ("struct A { id: String, #[serde(skip)] n: u8 }", 0),
            ("struct A { #[serde(skip)] id: String, n: u8 }", 0),
            ("struct A { id: String, #[serde(with = \"x\")] n: u8 }", 0),
            ("#[serde(transparent)] struct A { id: String, n: u8 }", 0),
            ("struct A { id: Vec<String>, n: u8 }", 0),
            ("struct A { id: [u8; 4], n: u8 }", 0),
            ("struct A { id: (u8, u8), n: u8 }", 0),
        ] {
            assert!(seen.insert(fingerprint(source, version)?), "{source}");
        }
        Ok(())
    }

    #[test]
    fn a_macros_type_is_the_type_that_was_written() {
        let ty = proc_macro2::Group::new(Delimiter::None, quote::quote!(Vec<u8>));
        assert_eq!(
            canonical(quote::quote!(#ty)),
            canonical(quote::quote!(Vec<u8>))
        );
        assert_eq!(
            canonical(quote::quote!(a::b<'c, [D; 3]>)),
            "a : : b < ' c , [ D ; 3 ] >"
        );
    }
}
