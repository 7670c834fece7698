//! Applies the user's lint attributes on a type to the code that is generated for it.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Meta, Visibility};

/// The attributes of every item that is generated for a type.
///
/// A field may violate naming rules, or have a deprecated type, and have its own lint attribute.
/// Generated code names the field, and this is the only place for that attribute.
pub(crate) fn taken_over(input: &DeriveInput) -> TokenStream {
    let fields = match &input.data {
        Data::Struct(data) => vec![&data.fields],
        Data::Enum(data) => data
            .variants
            .iter()
            .map(|variant| &variant.fields)
            .collect(),
        Data::Union(_) => Vec::new(),
    };
    let variants = match &input.data {
        Data::Enum(data) => data.variants.iter().collect(),
        _ => Vec::new(),
    };
    let inside = variants
        .iter()
        .map(|variant| &variant.attrs)
        .chain(fields.into_iter().flatten().map(|field| &field.attrs))
        .flatten();
    let of_type = input.attrs.iter().filter_map(|attr| level(attr, true));
    let all = input.attrs.iter().chain(inside.clone());
    let is_deprecated = all.clone().any(|attr| attr.path().is_ident("deprecated"));
    let deprecated = is_deprecated.then(|| quote!(#[allow(deprecated)]));
    let of_inside = inside.filter_map(|attr| level(attr, false));
    quote!(#(#of_type)* #(#of_inside)* #deprecated)
}

/// Lets an item be more visible than the types inside it.
pub(crate) fn private_interfaces(vis: &Visibility) -> Option<TokenStream> {
    let is_private = matches!(vis, Visibility::Inherited);
    (!is_private).then(|| {
        quote! {
            #[allow(private_interfaces, reason = "what it is generated for may be less visible")]
        }
    })
}

/// `#[doc(hidden)]`, if the type has it.
pub(crate) fn hidden(attrs: &[Attribute]) -> Option<TokenStream> {
    let is_hidden = |attr: &Attribute| match &attr.meta {
        Meta::List(list) => list.path.is_ident("doc") && list.tokens.to_string() == "hidden",
        _ => false,
    };
    attrs.iter().any(is_hidden).then(|| quote!(#[doc(hidden)]))
}

/// The attribute to copy, if it sets the level of a lint.
///
/// Generated code need not trigger an expected lint, so `expect` becomes `allow`. `forbid` and
/// `deny` are only for the author's own code.
fn level(attr: &Attribute, is_of_type: bool) -> Option<TokenStream> {
    let Meta::List(list) = &attr.meta else {
        return None;
    };
    let lints = &list.tokens;
    let at = list.path.span();
    if list.path.is_ident("allow") || list.path.is_ident("expect") {
        Some(quote_spanned!(at=> #[allow(#lints)]))
    } else if list.path.is_ident("warn") && is_of_type {
        Some(quote_spanned!(at=> #[warn(#lints)]))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(source: &str) -> syn::Result<String> {
        Ok(taken_over(&syn::parse_str(source)?).to_string())
    }

    #[test]
    fn what_lints_are_told_is_taken_over() -> syn::Result<()> {
        for (source, expected) in [
            ("struct A { a: u8 }", ""),
            ("#[derive(Clone)] #[serde(allow)] struct A;", ""),
            (
                "#[allow(x, clippy::y)] #[warn(z)] #[deny(v)] #[forbid(w)] struct A;",
                "# [allow (x , clippy :: y)] # [warn (z)]",
            ),
            (
                "#[expect(x, reason = \"y\")] struct A { #[allow(z)] #[warn(v)] a: u8 }",
                "# [allow (x , reason = \"y\")] # [allow (z)]",
            ),
            (
                "enum A { #[allow(x)] B(#[expect(y)] u8) }",
                "# [allow (x)] # [allow (y)]",
            ),
            ("#[deprecated] struct A;", "# [allow (deprecated)]"),
            (
                "struct A { #[deprecated(note = \"x\")] a: u8 }",
                "# [allow (deprecated)]",
            ),
            (
                "enum A { #[deprecated = \"x\"] B }",
                "# [allow (deprecated)]",
            ),
        ] {
            assert_eq!(taken(source)?, expected, "{source}");
        }
        Ok(())
    }

    #[test]
    fn what_is_hidden_stays_hidden() -> syn::Result<()> {
        for (source, is_hidden) in [
            ("#[doc(hidden)] struct A;", true),
            ("/// hidden\n struct A;", false),
            ("#[doc = \"hidden\"] struct A;", false),
        ] {
            let input: DeriveInput = syn::parse_str(source)?;
            assert_eq!(hidden(&input.attrs).is_some(), is_hidden, "{source}");
        }
        Ok(())
    }
}
