//! A number for what only the derive sees of a type.
//!
//! How a stored entry is read is found out at run time, from the type's `Deserialize`: names,
//! order, kinds and lengths, of nested and foreign types, too. The derive adds what `Deserialize`
//! does not show: the numbers that a `#[repr]` gives to variants, the functions and types of
//! serde's conversions, and `version`.
//!
//! The number is part of stored entries, so it must be the same with every compiler and on every
//! platform. So the tokens are formatted here, and not by their `Display`, whose spaces differ
//! between compilers.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Attribute, Generics, Type};

use crate::ast::Shape;
use crate::check::named::{InnerType, inner_types, is_of_std};
use crate::check::serde::serde_items;

/// serde's words that may change the meaning of bytes without a change of the requests.
const CONVERSIONS: [&str; 7] = [
    "deserialize_with",
    "from",
    "into",
    "remote",
    "serialize_with",
    "try_from",
    "with",
];

/// The number; 0 if there is nothing that only the derive sees.
pub(super) fn of(shape: &Shape<'_>, version: u32) -> u64 {
    let mut facts = Vec::new();
    if version != 0 {
        facts.push(format!("version {version}"));
    }
    facts.extend(conversions("", shape.target().attrs));
    let variants = shape.variants().unwrap_or_default();
    if is_numbered(shape.target().attrs) {
        facts.extend(variants.iter().map(|variant| {
            let number = variant.discriminant.to_token_stream();
            format!("variant {} = {}", variant.name, canonical(number))
        }));
    }
    for variant in variants {
        facts.extend(conversions(&variant.name, variant.attrs));
        for field in &variant.fields {
            let name = format!("{} . {}", variant.name, field.name);
            facts.extend(conversions(&name, field.attrs));
        }
    }
    for field in &shape.target().fields {
        facts.extend(conversions(&field.name, field.attrs));
    }
    if facts.is_empty() {
        return 0;
    }
    let mut hash = Fnv1a::default();
    facts.iter().for_each(|fact| hash.text(fact));
    hash.state.max(1)
}

/// serde's conversions of `name`, in a fixed order.
fn conversions(name: &str, attrs: &[Attribute]) -> Vec<String> {
    let mut items: Vec<String> = serde_items(attrs)
        .into_iter()
        .filter(|(word, _)| {
            word.as_ref()
                .is_some_and(|word| CONVERSIONS.iter().any(|other| word == other))
        })
        .map(|(_, item)| format!("{name} : {}", canonical(item)))
        .collect();
    items.sort();
    items
}

/// Whether there is a `#[repr(u8)]` or the like: such an enum may be stored as its number.
fn is_numbered(attrs: &[Attribute]) -> bool {
    let reprs = attrs.iter().filter(|attr| attr.path().is_ident("repr"));
    let lists = reprs.filter_map(|attr| attr.meta.require_list().ok());
    let mut tokens = lists.flat_map(|list| list.tokens.clone());
    tokens.any(|token| matches!(token, TokenTree::Ident(word) if is_integer(&word.to_string())))
}

fn is_integer(word: &str) -> bool {
    let width = word.strip_prefix(['i', 'u']);
    width.is_some_and(|width| width == "size" || width.parse::<u8>().is_ok())
}

/// The types in the fields that may declare a shape of their own, without duplicates.
pub(super) fn nested<'s>(shape: &'s Shape<'_>) -> Vec<&'s Type> {
    let mut seen = Vec::new();
    let mut nested = Vec::new();
    for inner in shape.fields().flat_map(|field| inner_types(field.ty)) {
        if !tells_its_shape(&inner, shape.target().generics) {
            continue;
        }
        let name = canonical(inner.ty.to_token_stream());
        if !seen.contains(&name) {
            seen.push(name);
            nested.push(inner.ty);
        }
    }
    nested
}

fn tells_its_shape(inner: &InnerType<'_>, generics: &Generics) -> bool {
    let Type::Path(ty) = inner.ty else {
        return false;
    };
    if ty.path.is_ident("Self") || is_of_std(&ty.path) && ty.qself.is_none() {
        return false;
    }
    match ty.path.get_ident() {
        Some(name) if generics.const_params().any(|param| param.ident == *name) => false,
        Some(name) if generics.type_params().any(|param| param.ident == *name) => true,
        Some(name) => !inner.may_be_constant || is_called_like_a_type(name),
        None => true,
    }
}

/// `Address`, and neither `SIZE` nor `N`.
fn is_called_like_a_type(name: &Ident) -> bool {
    let name = name.unraw().to_string();
    name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase)
}

/// The tokens, separated by single spaces.
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
                    // A type that a macro passes on as `$t:ty` counts as it was written.
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
        // As eight bytes on every platform.
        self.bytes(&(text.len() as u64).to_le_bytes());
        self.bytes(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Errors;

    fn fingerprint(source: &str, version: u32) -> syn::Result<u64> {
        let input = syn::parse_str(source)?;
        let mut errors = Errors::default();
        let shape = Shape::new(&input, "CacheEntity", &mut errors);
        Ok(shape.map_or(0, |shape| of(&shape, version)))
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
    fn what_deserialize_shows_is_not_counted() -> syn::Result<()> {
        for source in [
            "struct A { id: Vec<Option<u8>>, kind: &'static str }",
            "struct A(u8, String);",
            "struct A;",
            "#[serde(rename_all = \"camelCase\", deny_unknown_fields)] struct A { #[serde(default, alias = \"x\")] id: u8 }",
            "enum A { B, C(u8), D { #[serde(rename = \"y\")] x: u8 } }",
            "enum A { B = 1, C = 2 }",
            "#[repr(C)] enum A { B = 1, C = 2 }",
            "#[repr(C, packed)] struct A { x: u8 }",
        ] {
            assert_eq!(fingerprint(source, 0)?, 0, "{source}");
        }
        Ok(())
    }

    #[test]
    fn whatever_only_the_derive_sees_counts() -> syn::Result<()> {
        let mut seen = std::collections::HashSet::from([0]);
        for (source, version) in [
            ("struct A { id: String, n: u8 }", 1),
            ("struct A { id: String, n: u8 }", 2),
            ("struct A { id: String, #[serde(with = \"x\")] n: u8 }", 0),
            ("struct A { #[serde(with = \"x\")] id: String, n: u8 }", 0),
            ("struct A { id: String, #[serde(with = \"y\")] n: u8 }", 0),
            (
                "struct A { id: String, #[serde(serialize_with = \"x\")] n: u8 }",
                0,
            ),
            (
                "struct A { id: String, #[serde(deserialize_with = \"x\")] n: u8 }",
                0,
            ),
            ("#[serde(from = \"x\")] struct A { id: String, n: u8 }", 0),
            (
                "#[serde(try_from = \"x\")] struct A { id: String, n: u8 }",
                0,
            ),
            ("#[serde(into = \"x\")] struct A { id: String, n: u8 }", 0),
            ("#[repr(u8)] enum A { B = 1, C = 2 }", 0),
            ("#[repr(u8)] enum A { B = 2, C = 1 }", 0),
            ("#[repr(u8)] enum A { B, C }", 0),
            ("#[repr(u8)] enum A { C, B }", 0),
            ("#[repr(u8)] enum A { B = -1, C }", 0),
            ("#[repr(u8)] enum A { B, C = N }", 0),
            ("enum A { #[serde(with = \"x\")] B(u8), C(u8) }", 0),
            ("enum A { B(u8), #[serde(with = \"x\")] C(u8) }", 0),
            ("enum A { B(#[serde(with = \"x\")] u8), C(u8) }", 0),
        ] {
            assert!(seen.insert(fingerprint(source, version)?), "{source}");
        }
        Ok(())
    }

    #[test]
    fn blanks_comments_and_the_order_of_attributes_change_nothing() -> syn::Result<()> {
        let one = fingerprint(
            "#[repr(i16)] enum A { B = 1, #[serde(with = \"x\")] C(u8) }",
            3,
        )?;
        for same in [
            "#[repr(i16)]enum A{B=1,#[serde(with=\"x\")]C(u8),}",
            "/// a comment\n #[repr(i16)] pub enum D { /// another\n B = 1, #[serde(rename = \"y\")] #[serde(with = \"x\")] r#C(u16) }",
            "#[serde(bound = \"\")] #[repr(align(8), i16)] enum A { B = 1, #[serde(alias = \"y\", with = \"x\")] C(u8) }",
        ] {
            assert_eq!(fingerprint(same, 3)?, one, "{same}");
        }
        let both = fingerprint("struct A { #[serde(into = \"x\", with = \"y\")] n: u8 }", 0)?;
        let turned = "struct A { #[serde(with = \"y\")] #[serde(into = \"x\")] n: u8 }";
        assert_eq!(fingerprint(turned, 0)?, both);
        Ok(())
    }

    #[test]
    fn nested_types_are_found_in_whatever_holds_them() -> syn::Result<()> {
        for (source, expected) in [
            (
                "struct A { a: u8, b: Option<Vec<String>>, c: [u8; 4] }",
                &[][..],
            ),
            (
                "struct A { a: Option<Vec<B>>, b: B, c: (C, [D; 2]) }",
                &["B", "C", "D"],
            ),
            (
                "struct A { a: HashMap<Id, Box<[B]>>, b: &'static B }",
                &["Id", "B"],
            ),
            (
                "struct A { a: Page<Bee, SIZE, 3>, b: Vec<URL> }",
                &["Page < Bee , SIZE , 3 >", "Bee", "URL"],
            ),
            (
                "struct A<T, const N: usize> { a: Grid<T, N>, b: [B; N] }",
                &["Grid < T , N >", "T", "B"],
            ),
            (
                "struct A { a: my::Vec<u8>, b: std::vec::Vec<my::B> }",
                &["my : : Vec < u8 >", "my : : B"],
            ),
            (
                "struct A { a: <B as Of>::C, b: fn(B) -> C, c: Box<dyn D>, d: Self }",
                &["< B as Of > : : C"],
            ),
            ("enum A { B(C), D { e: Vec<E> }, F }", &["C", "E"]),
        ] {
            let input = syn::parse_str(source)?;
            let shape = Shape::new(&input, "CacheEntity", &mut Errors::default());
            let names: Vec<String> = shape
                .iter()
                .flat_map(nested)
                .map(|ty| canonical(ty.to_token_stream()))
                .collect();
            assert_eq!(names, expected, "{source}");
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
