//! The impl that stands in when the input was wrong, so that the user reads of the mistake and
//! not of what follows from it. It never runs.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{DeriveInput, Generics, Ident, Type, parse_quote};

use crate::ast::Struct;
use crate::check::feeder::{Feeder, Slot};
use crate::check::holder::Places;
use crate::check::is_float;
use crate::check::key::Key;
use crate::expand::companion::Companion;
use crate::expand::entity as real_entity;

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
    let one = feed(&input.ident, &input.generics, entity, private);
    let many = feed_many(&input.ident, &input.generics, entity, private);
    quote!(#one #many)
}

/// A feeder in the form that was meant.
pub(crate) fn checked_feeder(
    input: &DeriveInput,
    target: &Struct<'_>,
    found: &Feeder<'_>,
    private: &TokenStream,
) -> TokenStream {
    let (ident, items) = match found.slot {
        Slot::Field(_) => (input.ident.clone(), TokenStream::new()),
        Slot::Companion => {
            let entity = match found.entity {
                Some(entity) => entity.to_token_stream(),
                None => quote!(()),
            };
            let companion = Companion::new(target, found.name.as_ref(), found.is_batch());
            let items = companion.items(target, &entity, private);
            (companion.name, items)
        }
    };
    let one = || feed(&ident, &input.generics, found.entity, private);
    let many = || feed_many(&ident, &input.generics, found.entity, private);
    let feed = match found.many {
        Places::One => one(),
        Places::Many => many(),
        Places::Unknown => [one(), many()].into_iter().collect(),
    };
    quote!(#items #feed)
}

/// Feeds `entity`; without one, any entity there is.
fn feed(
    ident: &Ident,
    generics: &Generics,
    entity: Option<&Type>,
    private: &TokenStream,
) -> TokenStream {
    let (generics, ty_generics, entity) = any_entity(ident, generics, entity, private);
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

/// The same for many.
fn feed_many(
    ident: &Ident,
    generics: &Generics,
    entity: Option<&Type>,
    private: &TokenStream,
) -> TokenStream {
    let (generics, ty_generics, entity) = any_entity(ident, generics, entity, private);
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics #private::CacheFeedMany<#entity> for #ident #ty_generics #where_clause {
            fn entity_ids(&mut self) -> #private::Vec<<#entity as #private::CacheEntity>::Key> {
                loop {}
            }

            fn feed_many(
                &mut self,
                _: #private::Vec<#private::Option<#private::Arc<#entity>>>,
            ) {}
        }
    }
}

/// The generics of an impl, those of its type, and the entity: one more parameter if it is not
/// known.
fn any_entity(
    ident: &Ident,
    generics: &Generics,
    entity: Option<&Type>,
    private: &TokenStream,
) -> (Generics, TokenStream, TokenStream) {
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
    (generics, ty_generics, entity)
}
