//! The output of `#[derive(CacheSchema)]`, which is also part of that of `#[derive(CacheEntity)]`.

use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, quote};
use syn::{Generics, Type, parse_quote};

use super::fingerprint;
use crate::ast::{Shape, Struct};

pub(super) fn expand(shape: &Shape<'_>, version: u32, private: &TokenStream) -> TokenStream {
    let target = shape.target();
    let mut generics = target.generics.clone();
    if !generics.params.is_empty() {
        let ident = target.ident;
        let ty_generics = generics.split_for_impl().1.to_token_stream();
        let outlives = parse_quote!(#ident #ty_generics: 'static);
        generics.make_where_clause().predicates.push(outlives);
    }
    let number = Literal::u64_unsuffixed(fingerprint::of(shape, version));
    let nested = fingerprint::nested(shape);
    of_shape(target, &generics, &number, &nested, private)
}

/// The impl of a type whose own shape is `number` and that contains the types in `nested`.
pub(super) fn of_shape(
    target: &Struct<'_>,
    generics: &Generics,
    number: &Literal,
    nested: &[&Type],
    private: &TokenStream,
) -> TokenStream {
    let Struct { ident, lints, .. } = target;
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    quote! {
        #lints
        #[automatically_derived]
        impl #impl_generics #private::CacheSchema for #ident #ty_generics #where_clause {
            fn cache_shape(__schema: &mut #private::Schema) {
                __schema.number(#number);
                #(#private::Probe::<#nested>::NEW.tell_cache_shape(__schema);)*
            }
        }
    }
}
