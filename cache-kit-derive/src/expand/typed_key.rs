//! The struct that is the key of an entity with several key fields.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{Member, Type};

use crate::ast::{Field, Struct};
use crate::check::named::is_plain;

/// `OrderItemKey`, visible to the user's code, but not taken for code that the user wrote.
pub(super) fn name(target: &Struct<'_>) -> Ident {
    let ident = target.ident;
    format_ident!(
        "{}Key",
        ident,
        span = Span::call_site().located_at(ident.span())
    )
}

pub(super) fn items(
    target: &Struct<'_>,
    parts: &[&Field<'_>],
    private: &TokenStream,
) -> TokenStream {
    let vis = target.vis;
    let name = name(target);
    let entity = target.ident.unraw();

    let types: Vec<&Type> = parts.iter().map(|part| part.ty).collect();
    let about_parts: Vec<String> = parts
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
        quote!((#(#[doc = #about_parts] #vis #types),*);)
    } else {
        quote!({ #(#[doc = #about_parts] #vis #members: #types),* })
    };
    let separators = parts
        .iter()
        .enumerate()
        .map(|(at, _)| (at > 0).then(|| quote!(#private::write_separator(__f)?;)));

    let about = format!(
        "The key of `{entity}`. Its text is its parts joined by `:`, with `%` and `:` inside a \
         part escaped, so that different keys have different texts."
    );
    // Most parts are known to have an order. Those of other types need not.
    let others: Vec<&Type> = types.iter().copied().filter(|ty| !is_plain(ty)).collect();
    let (derived_order, order) = if others.is_empty() {
        (quote!(#private::PartialOrd, #private::Ord,), None)
    } else {
        let order = order(&name, &members, &others, private);
        (TokenStream::new(), Some(order))
    };
    let from_str = from_str(&name, parts, &members, &others, private);
    quote! {
        #[doc = #about]
        #[derive(
            #private::Clone,
            #private::Debug,
            #private::PartialEq,
            #private::Eq,
            #derived_order
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

        #order

        #from_str
    }
}

/// `Ord`, if the parts have it.
///
/// A bound that names no parameter is an error where it does not hold, unless it has a lifetime of
/// its own. What such a bound keeps from being compiled must not be exported: hence `inline`.
fn order(name: &Ident, members: &[Member], others: &[&Type], private: &TokenStream) -> TokenStream {
    let mut compared = members
        .iter()
        .map(|member| quote!(#private::Ord::cmp(&self.#member, &__other.#member)));
    let first = compared.next();
    quote! {
        #[automatically_derived]
        impl #private::PartialOrd for #name
        where
            #(for<'__part> #others: #private::Ord,)*
        {
            #[inline]
            fn partial_cmp(&self, __other: &Self) -> #private::Option<#private::Ordering> {
                #private::Option::Some(#private::Ord::cmp(self, __other))
            }
        }

        #[automatically_derived]
        impl #private::Ord for #name
        where
            #(for<'__part> #others: #private::Ord,)*
        {
            #[inline]
            fn cmp(&self, __other: &Self) -> #private::Ordering {
                #first #(.then_with(|| #compared))*
            }
        }
    }
}

/// `FromStr`, if the parts have it.
fn from_str(
    name: &Ident,
    parts: &[&Field<'_>],
    members: &[Member],
    others: &[&Type],
    private: &TokenStream,
) -> TokenStream {
    let shown = name.unraw().to_string();
    let names = parts.iter().map(|part| &part.name);
    let count = parts.len();
    let where_clause =
        (!others.is_empty()).then(|| quote!(where #(for<'__part> #others: #private::FromStr,)*));
    quote! {
        #[automatically_derived]
        impl #private::FromStr for #name #where_clause {
            type Err = #private::ParseKeyError;

            #[inline]
            fn from_str(__text: &#private::str) -> #private::Result<Self, #private::ParseKeyError> {
                let mut __parts = #private::KeyParts::split(#shown, __text, #count)?;
                #private::Result::Ok(Self {
                    #(#members: __parts.next(#names)?,)*
                })
            }
        }
    }
}
