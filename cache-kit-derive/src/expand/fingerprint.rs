//! The schema fingerprint: a number that changes when the shape of an entity does.
//!
//! It goes into stored entries, so it must come out the same with every compiler and on every
//! platform: the tokens are written out here, and not by their `Display`, whose blanks differ
//! between compilers.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Attribute, Generics, Type};

use crate::ast::{Field, Shape};
use crate::check::named::{Part, is_of_std, parts};
use crate::check::serde::serde_items;

/// What serde is told and no stored byte depends on. Renames are not among them: names are a part
/// of the shape, although postcard writes none.
const WITHOUT_EFFECT: [&str; 7] = [
    "alias",
    "borrow",
    "bound",
    "crate",
    "default",
    "deny_unknown_fields",
    "expecting",
];

/// The fingerprint of the names, types and order of fields and variants, of what serde is told
/// about them, and of `version`. The names of other types count, what is in them doesn't: see
/// [`nested`].
pub(super) fn of(shape: &Shape<'_>, version: u32) -> u64 {
    let mut hash = Fnv1a::default();
    hash.bytes(&version.to_le_bytes());
    hash.serde(shape.target().attrs);
    hash.fields(&shape.target().fields);
    if let Some(variants) = shape.variants() {
        hash.text("enum");
        for variant in variants {
            hash.text(&variant.name);
            hash.serde(variant.attrs);
            hash.length(variant.fields.len());
            hash.fields(&variant.fields);
        }
    }
    // 0 belongs to the entities that state no schema.
    hash.state.max(1)
}

/// The types in the fields that may have a shape of their own to tell, each once.
pub(super) fn nested<'s>(shape: &'s Shape<'_>) -> Vec<&'s Type> {
    let mut seen = Vec::new();
    let mut nested = Vec::new();
    for part in shape.fields().flat_map(|field| parts(field.ty)) {
        if !tells_its_shape(&part, shape.target().generics) {
            continue;
        }
        let name = canonical(part.ty.to_token_stream());
        if !seen.contains(&name) {
            seen.push(name);
            nested.push(part.ty);
        }
    }
    nested
}

fn tells_its_shape(part: &Part<'_>, generics: &Generics) -> bool {
    let Type::Path(ty) = part.ty else {
        return false;
    };
    if ty.path.is_ident("Self") || is_of_std(&ty.path) && ty.qself.is_none() {
        return false;
    }
    match ty.path.get_ident() {
        Some(name) if generics.const_params().any(|param| param.ident == *name) => false,
        Some(name) if generics.type_params().any(|param| param.ident == *name) => true,
        Some(name) => !part.may_be_constant || is_called_like_a_type(name),
        None => true,
    }
}

/// `Address`, and neither `SIZE` nor `N`.
fn is_called_like_a_type(name: &Ident) -> bool {
    let name = name.unraw().to_string();
    name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase)
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

    fn fields(&mut self, fields: &[Field<'_>]) {
        for field in fields {
            self.text(&field.name);
            self.text(&canonical(field.ty.to_token_stream()));
            self.serde(field.attrs);
        }
    }

    /// What serde is told, in whichever order, with the number of items before it.
    fn serde(&mut self, attrs: &[Attribute]) {
        let mut items: Vec<String> = serde_items(attrs)
            .into_iter()
            .filter(|(word, _)| {
                !word
                    .as_ref()
                    .is_some_and(|word| WITHOUT_EFFECT.iter().any(|other| word == other))
            })
            .map(|(_, item)| canonical(item))
            .collect();
        items.sort();
        self.length(items.len());
        items.iter().for_each(|item| self.text(item));
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
            ("struct A { id: String, #[serde(rename = \"m\")] n: u8 }", 0),
            (
                "#[serde(rename_all = \"camelCase\")] struct A { id: String, n: u8 }",
                0,
            ),
            ("struct A;", 0),
            ("enum A {}", 0),
            ("enum A { B }", 0),
            ("enum A { B, C }", 0),
            ("enum A { C, B }", 0),
            ("enum A { B(u8), C }", 0),
            ("enum A { B, C(u8) }", 0),
            ("enum A { B { x: u8 }, C }", 0),
            ("enum A { #[serde(skip)] B, C }", 0),
        ] {
            assert!(seen.insert(fingerprint(source, version)?), "{source}");
        }
        Ok(())
    }

    #[test]
    fn what_no_byte_depends_on_changes_nothing() -> syn::Result<()> {
        let plain = fingerprint("struct A { id: String, n: u8 }", 0)?;
        for same in [
            "#[serde(deny_unknown_fields, crate = \"s\", bound = \"\")] struct A { id: String, n: u8 }",
            "struct A { #[serde(alias = \"no\", default)] id: String, #[serde(default = \"f\")] n: u8 }",
        ] {
            assert_eq!(fingerprint(same, 0)?, plain, "{same}");
        }
        let told = fingerprint("struct A { #[serde(skip, with = \"x\")] id: u8 }", 0)?;
        for same in [
            "struct A { #[serde(with = \"x\", skip)] id: u8 }",
            "struct A { #[serde(with = \"x\")] #[serde(skip, alias = \"y\")] id: u8 }",
        ] {
            assert_eq!(fingerprint(same, 0)?, told, "{same}");
        }
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
