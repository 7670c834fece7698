//! What `#[derive(CacheFeeder)]` writes.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Generics, Type, parse_quote};

use crate::ast::Struct;
use crate::check::feeder::Slot;

pub(super) fn expand(
    target: &Struct<'_>,
    entity: &Type,
    key: usize,
    slot: Slot,
    private: &TokenStream,
) -> TokenStream {
    let entity = entity.to_token_stream();
    let key = &target.fields[key];
    let (key_type, key_member) = (key.ty, &key.member);
    let generics = key_generics(target.generics, key_type, &entity, private);
    match slot {
        Slot::Field(at) => {
            let slot = &target.fields[at];
            let (slot_type, slot_member) = (slot.ty, &slot.member);
            let feed = Feed {
                feeder: target.ident,
                entity: &entity,
                key_type,
                key_place: quote!(self.#key_member),
                slot_type: slot_type.to_token_stream(),
                slot_place: quote!(self.#slot_member),
            };
            feed.expand(&generics, private)
        }
        Slot::Companion => {
            let feeder = companion(target);
            let feed = Feed {
                feeder: &feeder,
                entity: &entity,
                key_type,
                key_place: quote!(self.request.#key_member),
                slot_type: quote!(#private::Option<#private::Arc<#entity>>),
                slot_place: quote!(self.entity),
            };
            let items = companion_items(target, &entity, private);
            let feed = feed.expand(&generics, private);
            quote!(#items #feed)
        }
    }
}

/// `GetUserFeeder`, visible to the user's code, but not taken for code that the user wrote.
pub(crate) fn companion(target: &Struct<'_>) -> Ident {
    let ident = target.ident;
    format_ident!(
        "{}Feeder",
        ident,
        span = Span::call_site().located_at(ident.span())
    )
}

/// The feeder around a request, all but its `CacheFeed`.
pub(crate) fn companion_items(
    target: &Struct<'_>,
    entity: &TokenStream,
    private: &TokenStream,
) -> TokenStream {
    let Struct {
        ident,
        vis,
        generics,
        ..
    } = target;
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let feeder = companion(target);
    let name = ident.unraw().to_string();
    let feeder_name = feeder.unraw().to_string();
    let about = format!("Carries a `{name}` to the cache, and the entity back.");
    let about_new = format!("A feeder that asks for what the `{name}` says.");
    let about_into = format!("Puts the request into a `{feeder_name}`, ready for the cache.");
    quote! {
        #[doc = #about]
        #vis struct #feeder #generics #where_clause {
            /// What is asked for.
            #vis request: #ident #ty_generics,
            /// The answer, after the call.
            #vis entity: #private::Option<#private::Arc<#entity>>,
        }

        #[automatically_derived]
        impl #impl_generics #feeder #ty_generics #where_clause {
            #[doc = #about_new]
            #vis fn new(request: #ident #ty_generics) -> Self {
                Self { request, entity: #private::Option::None }
            }

            /// The answer, without the request.
            #vis fn into_entity(self) -> #private::Option<#private::Arc<#entity>> {
                self.entity
            }
        }

        #[automatically_derived]
        impl #impl_generics #ident #ty_generics #where_clause {
            #[doc = #about_into]
            #vis fn into_feeder(self) -> #feeder #ty_generics {
                #feeder::new(self)
            }
        }

        // Shows neither the request nor the entity, so that neither must be `Debug` and no value
        // gets into a log.
        #[automatically_derived]
        impl #impl_generics #private::Debug for #feeder #ty_generics #where_clause {
            fn fmt(&self, __f: &mut #private::Formatter<'_>) -> #private::FmtResult {
                #private::debug_feeder(__f, #feeder_name, #private::Option::is_some(&self.entity))
            }
        }
    }
}

/// An `impl CacheFeed`.
struct Feed<'a> {
    feeder: &'a Ident,
    entity: &'a TokenStream,
    key_type: &'a Type,
    key_place: TokenStream,
    slot_type: TokenStream,
    slot_place: TokenStream,
}

impl Feed<'_> {
    fn expand(&self, generics: &Generics, private: &TokenStream) -> TokenStream {
        let Self {
            feeder,
            entity,
            key_type,
            key_place,
            slot_type,
            slot_place,
        } = self;
        let mut generics = generics.clone();
        if generics.type_params().next().is_some() {
            let ty_generics = generics.split_for_impl().1.to_token_stream();
            let send = parse_quote!(#feeder #ty_generics: #private::Send);
            generics.make_where_clause().predicates.push(send);
        }
        let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
        // What is wrong with the entity is reported where it is named, and still is no code that
        // the user wrote.
        let at = Span::call_site().located_at(first_span(entity));
        let private = &located_at(private.clone(), at);
        let key = quote_spanned!(at=> <#entity as #private::CacheEntity>::Key);
        quote_spanned! {at=>
            #[automatically_derived]
            impl #impl_generics #private::CacheFeed<#entity> for #feeder #ty_generics #where_clause {
                fn entity_id(&mut self) -> #key {
                    <#key_type as #private::KeyField<#key>>::to_key(&#key_place)
                }

                fn borrowed_id(&self) -> #private::Option<&#key> {
                    <#key_type as #private::KeyField<#key>>::as_key(&#key_place)
                }

                fn feed(&mut self, __entity: #private::Option<#entity>) {
                    <#slot_type as #private::EntityField<#entity>>::put(&mut #slot_place, __entity);
                }

                fn feed_shared(&mut self, __entity: #private::Option<#private::Arc<#entity>>) {
                    <#slot_type as #private::EntityField<#entity>>::put_shared(
                        &mut #slot_place,
                        __entity,
                    );
                }
            }
        }
    }
}

/// The struct's generics, with the bound that its key needs if it is one of them.
fn key_generics(
    generics: &Generics,
    key_type: &Type,
    entity: &TokenStream,
    private: &TokenStream,
) -> Generics {
    let mut generics = generics.clone();
    let params: Vec<Ident> = generics
        .type_params()
        .map(|param| param.ident.clone())
        .collect();
    if mentions(key_type.to_token_stream(), &params) {
        let bound = parse_quote! {
            #key_type: #private::KeyField<<#entity as #private::CacheEntity>::Key>
        };
        generics.make_where_clause().predicates.push(bound);
    }
    generics
}

fn first_span(tokens: &TokenStream) -> Span {
    let first = tokens.clone().into_iter().next();
    first.map_or_else(Span::call_site, |first| first.span())
}

/// The same tokens of a path with another span.
fn located_at(path: TokenStream, at: Span) -> TokenStream {
    let respanned = |mut token: TokenTree| {
        token.set_span(at);
        token
    };
    path.into_iter().map(respanned).collect()
}

fn mentions(tokens: TokenStream, names: &[Ident]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => names.contains(&ident),
        TokenTree::Group(group) => mentions(group.stream(), names),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
