//! The impl for a wrong input, so that the compiler reports the error itself and not its
//! consequences. It never runs.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::{DeriveInput, Generics, Ident, Type, parse_quote};

use crate::ast::Struct;
use crate::check::entity_key::{EntityKey, Keyed};
use crate::check::feeder::{Feeder, Slot};
use crate::check::holder::Places;
use crate::diag::Errors;
use crate::expand::companion::Companion;
use crate::expand::entity as real_entity;
use crate::expand::typed_key;
use crate::lints;

/// An entity with a key as close to the intended one as possible.
///
/// A key that could not be determined has a type that the compiler accepts as any other: see
/// [`Errors::take_as_type`].
pub(crate) fn entity(
    input: &DeriveInput,
    found: Option<(&Struct<'_>, Keyed<'_>)>,
    errors: &mut Errors,
    private: &TokenStream,
) -> TokenStream {
    let ident = &input.ident;
    let mut generics = input.generics.clone();
    let (key_type, key_items) = match found {
        Some((target, Keyed::Known(key))) if is_expandable(&generics, &key) => {
            generics = real_entity::generics(target, Some(&key), None, private);
            (
                real_entity::key_type(target, &key, private),
                real_entity::key_items(target, &key, private),
            )
        }
        Some((target, keyed)) => {
            generics = real_entity::generics(target, None, None, private);
            let unknown = errors.take_as_type(private);
            match keyed {
                Keyed::Typed(name) => {
                    let name = typed_key::name(target, name);
                    let vis = &input.vis;
                    let items = quote! {
                        /// The key, which could not be made out.
                        #vis type #name = #unknown;
                    };
                    (name.to_token_stream(), items)
                }
                Keyed::Known(_) | Keyed::Unknown => (unknown, TokenStream::new()),
            }
        }
        None => (errors.take_as_type(private), TokenStream::new()),
    };
    let lints = lints::taken_over(input);
    let schema = schema(input, private);
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    quote! {
        #lints
        #[automatically_derived]
        impl #impl_generics #private::CacheEntity for #ident #ty_generics #where_clause {
            type Key = #key_type;

            fn cache_key(&self) -> Self::Key {
                loop {}
            }

            fn cache_prefix() -> &'static #private::str {
                ""
            }
        }

        #schema

        #key_items
    }
}

/// A typed key has no parameters.
fn is_expandable(generics: &Generics, key: &EntityKey<'_>) -> bool {
    generics.params.is_empty() || !matches!(key, EntityKey::Typed(_))
}

/// A type that declares nothing about its shape.
pub(crate) fn schema(input: &DeriveInput, private: &TokenStream) -> TokenStream {
    let ident = &input.ident;
    let mut generics = input.generics.clone();
    if !generics.params.is_empty() {
        let ty_generics = generics.split_for_impl().1.to_token_stream();
        let outlives = parse_quote!(#ident #ty_generics: 'static);
        generics.make_where_clause().predicates.push(outlives);
    }
    let lints = lints::taken_over(input);
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    quote! {
        #lints
        #[automatically_derived]
        impl #impl_generics #private::CacheSchema for #ident #ty_generics #where_clause {
            fn cache_shape(_: &mut #private::Schema) {}
        }
    }
}

/// A feeder of which at most the entity is known.
pub(crate) fn feeder(
    input: &DeriveInput,
    entity: Option<&Type>,
    private: &TokenStream,
) -> TokenStream {
    let lints = lints::taken_over(input);
    let one = feed(&input.ident, &input.generics, entity, private);
    let many = feed_many(&input.ident, &input.generics, entity, private);
    quote!(#lints #one #lints #many)
}

/// A feeder in the intended form.
pub(crate) fn checked_feeder(
    input: &DeriveInput,
    target: &Struct<'_>,
    found: &Feeder<'_>,
    errors: &mut Errors,
    private: &TokenStream,
) -> TokenStream {
    let (ident, items) = match found.slot {
        Slot::Field(_) => (input.ident.clone(), TokenStream::new()),
        Slot::Companion => {
            let (entity, unknown) = match found.entity {
                Some(entity) => (entity.to_token_stream(), None),
                None => {
                    let name = format_ident!("__{}Entity", input.ident);
                    let unknown = errors.take_as_type(private);
                    let alias = quote!(#[doc(hidden)] pub type #name = #unknown;);
                    (name.to_token_stream(), Some(alias))
                }
            };
            let companion = Companion::new(target, found.name.as_ref(), found.is_batch());
            let items = companion.items(target, &entity, private);
            (companion.name, quote!(#unknown #items))
        }
    };
    let lints = &target.lints;
    let one = || {
        let feed = feed(&ident, &input.generics, found.entity, private);
        quote!(#lints #feed)
    };
    let many = || {
        let feed = feed_many(&ident, &input.generics, found.entity, private);
        quote!(#lints #feed)
    };
    let feed = match found.many {
        Places::One => one(),
        Places::Many => many(),
        Places::Unknown => [one(), many()].into_iter().collect(),
    };
    quote!(#items #feed)
}

/// Feeds `entity`; without one, any entity.
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

/// The generics of an impl, those of its type, and the entity, which is an additional parameter if
/// it is not known.
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
