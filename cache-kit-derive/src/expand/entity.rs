//! What `#[derive(CacheEntity)]` writes.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Member, Type};

use super::fingerprint;
use crate::ast::{Field, Struct};
use crate::check::entity::{Entity, Key, Piece};

pub(super) fn expand(
    target: &Struct<'_>,
    entity: &Entity,
    key: &Key,
    private: &TokenStream,
) -> TokenStream {
    let ident = target.ident;
    let key_type = key_type(target, key, private);
    let key_value = key_value(target, key, private);
    let key_items = key_items(target, key, private);
    let prefix = &entity.prefix;
    let schema = Literal::u64_unsuffixed(fingerprint::of(target, entity.version));
    let ttl = entity.ttl.map(|ttl| {
        let seconds = Literal::u64_unsuffixed(ttl.as_secs());
        let nanos = Literal::u32_unsuffixed(ttl.subsec_nanos());
        quote! {
            fn cache_ttl() -> #private::Option<#private::Duration> {
                #private::Option::Some(#private::Duration::new(#seconds, #nanos))
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl #private::CacheEntity for #ident {
            type Key = #key_type;

            fn cache_key(&self) -> #key_type {
                #key_value
            }

            fn cache_prefix() -> &'static #private::str {
                #prefix
            }

            fn cache_schema() -> #private::u64 {
                #schema
            }

            #ttl
        }

        #key_items
    }
}

/// `CacheEntity::Key`.
pub(crate) fn key_type(target: &Struct<'_>, key: &Key, private: &TokenStream) -> TokenStream {
    match key {
        Key::Field(at) => target.fields[*at].ty.to_token_stream(),
        Key::Template(_) => quote!(#private::String),
        Key::Parts(_) => typed_key(target).to_token_stream(),
    }
}

/// The typed key, if there is one.
pub(crate) fn key_items(target: &Struct<'_>, key: &Key, private: &TokenStream) -> TokenStream {
    match key {
        Key::Parts(parts) => {
            let parts: Vec<&Field<'_>> = parts.iter().map(|at| &target.fields[*at]).collect();
            typed_key_items(target, &parts, private)
        }
        Key::Field(_) | Key::Template(_) => TokenStream::new(),
    }
}

fn key_value(target: &Struct<'_>, key: &Key, private: &TokenStream) -> TokenStream {
    match key {
        Key::Field(at) => {
            let member = &target.fields[*at].member;
            quote!(#private::Clone::clone(&self.#member))
        }
        Key::Template(pieces) => {
            let pushes = pieces.iter().map(|piece| match piece {
                Piece::Text(text) => quote!(#private::String::push_str(&mut __key, #text);),
                Piece::Field(at) => {
                    let Field { member, ty, .. } = &target.fields[*at];
                    // Named, the type is where a missing `Display` is reported.
                    quote!(#private::push_part::<#ty>(&mut __key, &self.#member);)
                }
            });
            quote! {
                let mut __key = #private::String::new();
                #(#pushes)*
                __key
            }
        }
        Key::Parts(parts) => {
            let name = typed_key(target);
            let members = parts.iter().map(|at| &target.fields[*at].member);
            quote!(#name::new(#(#private::Clone::clone(&self.#members)),*))
        }
    }
}

/// `OrderItemKey`, visible to the user's code, but not taken for code that the user wrote.
fn typed_key(target: &Struct<'_>) -> Ident {
    let ident = target.ident;
    format_ident!(
        "{}Key",
        ident,
        span = Span::call_site().located_at(ident.span())
    )
}

fn typed_key_items(
    target: &Struct<'_>,
    parts: &[&Field<'_>],
    private: &TokenStream,
) -> TokenStream {
    let vis = target.vis;
    let name = typed_key(target);
    let entity = target.ident.unraw();

    let types: Vec<&Type> = parts.iter().map(|part| part.ty).collect();
    let names: Vec<String> = parts
        .iter()
        .map(|part| format!("The `{}` of the entity.", part.name))
        .collect();
    // The parts of a tuple struct's key count from 0, whichever fields they are.
    let members: Vec<Member> = parts
        .iter()
        .enumerate()
        .map(|(at, part)| match &part.member {
            Member::Named(ident) => Member::Named(ident.clone()),
            Member::Unnamed(_) => Member::Unnamed(at.into()),
        })
        .collect();
    let arguments: Vec<Ident> = members
        .iter()
        .map(|member| match member {
            Member::Named(ident) => ident.clone(),
            Member::Unnamed(index) => format_ident!("part_{}", index.index),
        })
        .collect();
    let fields = if target.is_tuple {
        quote!((#(#[doc = #names] #vis #types),*);)
    } else {
        quote!({ #(#[doc = #names] #vis #members: #types),* })
    };
    let separators = parts
        .iter()
        .enumerate()
        .map(|(at, _)| (at > 0).then(|| quote!(#private::write_separator(__f)?;)));

    let about = format!(
        "The key of `{entity}`. Its text is its parts joined by `:`, with `%` and `:` inside a \
         part escaped, so that different keys have different texts."
    );
    quote! {
        #[doc = #about]
        #[derive(
            #private::Clone,
            #private::Debug,
            #private::PartialEq,
            #private::Eq,
            #private::Hash,
        )]
        #vis struct #name #fields

        #[automatically_derived]
        impl #name {
            /// The key that has these parts.
            #[allow(clippy::too_many_arguments, reason = "a key has as many as its entity says")]
            #vis fn new(#(#arguments: #types),*) -> Self {
                Self { #(#members: #arguments),* }
            }
        }

        #[automatically_derived]
        impl #private::Display for #name {
            fn fmt(&self, __f: &mut #private::Formatter<'_>) -> #private::FmtResult {
                #(
                    #separators
                    #private::write_part::<#types>(__f, &self.#members)?;
                )*
                #private::FmtResult::Ok(())
            }
        }
    }
}
