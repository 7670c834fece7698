//! The impl that stands in when the input was wrong, so that the user reads of the mistake and
//! not of what follows from it. It never runs.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{DeriveInput, Generics, Ident, Type, parse_quote};

use crate::ast::Struct;
use crate::check::feeder::{Feeder, Slot};
use crate::check::is_float;
use crate::check::key::Key;
use crate::expand::{entity as real_entity, feeder as real_feeder};

/// An entity whose key is as near to what was meant as can be made out.
pub(crate) fn entity(
    input: &DeriveInput,
    found: Option<(&Struct<'_>, Option<Key<'_>>)>,
    private: &TokenStream,
) -> TokenStream {
    let ident = &input.ident;
    let mut key_type = quote!(#private::String);
    let mut key_items = TokenStream::new();
    let mut generics = input.generics.clone();
    if let Some((target, key)) = found {
        let key = key.or_else(|| {
            let id = target.field("id")?;
            (!is_float(target.fields[id].ty)).then_some(Key::Field(id))
        });
        generics = real_entity::generics(target, key.as_ref(), None, private);
        if let Some(key) = key
            // A typed key knows no parameters.
            && (generics.params.is_empty() || !matches!(key, Key::Parts(_)))
        {
            key_type = real_entity::key_type(target, &key, private);
            key_items = real_entity::key_items(target, &key, private);
        }
    }
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics #private::CacheEntity for #ident #ty_generics #where_clause {
            type Key = #key_type;

            fn cache_key(&self) -> #key_type {
                loop {}
            }

            fn cache_prefix() -> &'static #private::str {
                ""
            }
        }

        #key_items
    }
}

/// A type that tells nothing of its shape.
pub(crate) fn schema(input: &DeriveInput, private: &TokenStream) -> TokenStream {
    let ident = &input.ident;
    let mut generics = input.generics.clone();
    if !generics.params.is_empty() {
        let ty_generics = generics.split_for_impl().1.to_token_stream();
        let outlives = parse_quote!(#ident #ty_generics: 'static);
        generics.make_where_clause().predicates.push(outlives);
    }
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics #private::CacheSchema for #ident #ty_generics #where_clause {
            fn cache_shape(_: &mut #private::Schema) {}
        }
    }
}

/// A feeder of which nothing could be made out but its entity.
pub(crate) fn feeder(
    input: &DeriveInput,
    entity: Option<&Type>,
    private: &TokenStream,
) -> TokenStream {
    feed(&input.ident, &input.generics, entity, private)
}

/// A feeder in the form that was meant.
pub(crate) fn checked_feeder(
    input: &DeriveInput,
    target: &Struct<'_>,
    found: &Feeder<'_>,
    private: &TokenStream,
) -> TokenStream {
    match found.slot {
        Slot::Field(_) => feeder(input, found.entity, private),
        Slot::Companion => {
            let entity = match found.entity {
                Some(entity) => entity.to_token_stream(),
                None => quote!(()),
            };
            let items = real_feeder::companion_items(target, &entity, private);
            let companion = real_feeder::companion(target);
            let feed = feed(&companion, &input.generics, found.entity, private);
            quote!(#items #feed)
        }
    }
}

/// Feeds `entity`; without one, any entity there is.
fn feed(
    ident: &Ident,
    generics: &Generics,
    entity: Option<&Type>,
    private: &TokenStream,
) -> TokenStream {
    let mut generics = generics.clone();
    let ty_generics = generics.split_for_impl().1.to_token_stream();
    if generics.type_params().next().is_some() {
        let send = parse_quote!(#ident #ty_generics: #private::Send);
        generics.make_where_clause().predicates.push(send);
    }
    let entity = match entity {
        Some(entity) => entity.to_token_stream(),
        None => {
            generics
                .params
                .push(parse_quote!(__T: #private::CacheEntity));
            quote!(__T)
        }
    };
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics #private::CacheFeed<#entity> for #ident #ty_generics #where_clause {
            fn entity_id(&mut self) -> <#entity as #private::CacheEntity>::Key {
                loop {}
            }

            fn feed(&mut self, _: #private::Option<#entity>) {}
        }
    }
}
