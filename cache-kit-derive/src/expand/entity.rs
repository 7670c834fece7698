//! The output of `#[derive(CacheEntity)]`.

use std::time::Duration;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{ExprPath, Generics, parse_quote};

use super::key::{bindings, push, value};
use super::{fingerprint, schema, typed_key};
use crate::ast::{Shape, Struct};
use crate::attr::value::{Bytes, Factor, Percentage, Predicates};
use crate::check::entity::{Entity, Prefix, generic_key_types};
use crate::check::entity_key::EntityKey;
use crate::check::expression::reference;
use crate::tokens::first_span;

pub(super) fn expand(
    shape: &Shape<'_>,
    entity: &Entity<'_>,
    key: &EntityKey<'_>,
    private: &TokenStream,
) -> TokenStream {
    let target = shape.target();
    let attr = entity.attr;
    let ident = target.ident;
    let generics = generics(target, Some(key), attr.bound.value(), private);
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let key_type = key_type(target, key, private);
    // A type that is less visible than the entity is reported where it is named.
    let at = Span::call_site().located_at(first_span(&key_type));
    let key_item = quote_spanned!(at=> type Key = #key_type;);
    let key_value = key_value(target, key, private);
    let key_items = key_items(target, key, private);
    let lints = &target.lints;
    let prefix = match &entity.prefix {
        Prefix::Text(text) => text.to_token_stream(),
        Prefix::With(path) => call(path, None, quote!(&'static #private::str)),
    };

    let nested = fingerprint::nested(shape);
    let version = attr.version.value().copied().unwrap_or(0);
    let number = Literal::u64_unsuffixed(fingerprint::of(shape, version));
    let schema = if nested.is_empty() {
        number.to_token_stream()
    } else {
        quote!(#private::Schema::of::<Self>())
    };
    let schema_impl = schema::of_shape(target, &generics, &number, &nested, private);

    let options = options(entity, private);
    quote! {
        #lints
        #[automatically_derived]
        impl #impl_generics #private::CacheEntity for #ident #ty_generics #where_clause {
            #key_item

            fn cache_key(&self) -> #key_type {
                #key_value
            }

            fn cache_prefix() -> &'static #private::str {
                #prefix
            }

            fn cache_schema() -> #private::u64 {
                #schema
            }

            #(#options)*
        }

        #schema_impl

        #key_items
    }
}

/// The methods with a default that the attributes replace.
fn options(entity: &Entity<'_>, private: &TokenStream) -> [Option<TokenStream>; 9] {
    let jitter = entity.attr.jitter.value();
    let jitter = jitter.map(|Percentage(fraction)| *fraction);
    let ahead = entity
        .attr
        .refresh_ahead
        .value()
        .map(|Factor(factor)| *factor);
    let revalidated = entity.stale_while_revalidate;
    let max_bytes = entity.attr.max_bytes.value().map(|Bytes(bytes)| {
        let bytes = Literal::u32_unsuffixed(*bytes);
        quote! {
            fn cache_max_bytes() -> #private::Option<#private::usize> {
                #private::Option::Some(#bytes)
            }
        }
    });
    let validate = entity.attr.validate.value().map(|path| {
        let call = call(path, Some(quote!(self)), quote!(#private::Result<()>));
        quote! {
            fn cache_validate(&self) -> #private::Result<()> {
                #call
            }
        }
    });
    [
        duration("cache_ttl", entity.ttl, private),
        number("cache_jitter", jitter, private),
        duration("cache_stale_while_revalidate", revalidated, private),
        duration("cache_stale_if_error", entity.stale_if_error, private),
        number("cache_refresh_ahead", ahead, private),
        duration("cache_answer_within", entity.answer_within, private),
        duration("cache_negative_ttl", entity.negative_ttl, private),
        max_bytes,
        validate,
    ]
}

/// The generics of the type, with the bounds that an entity and its key need.
pub(crate) fn generics(
    target: &Struct<'_>,
    key: Option<&EntityKey<'_>>,
    bound: Option<&Predicates>,
    private: &TokenStream,
) -> Generics {
    let mut generics = target.generics.clone();
    if generics.params.is_empty() {
        return generics;
    }
    let ident = target.ident;
    let ty_generics = generics.split_for_impl().1.to_token_stream();
    let predicates = &mut generics.make_where_clause().predicates;
    predicates.extend(bound.into_iter().flat_map(|bound| bound.0.iter().cloned()));
    predicates.push(parse_quote! {
        #ident #ty_generics: #private::Storable + #private::Send + #private::Sync + 'static
    });
    if let Some(key) = key {
        for ty in generic_key_types(target, key) {
            predicates.push(match key {
                EntityKey::Template(_) => parse_quote!(#ty: #private::Display),
                _ => parse_quote! {
                    #ty: #private::Display + #private::Clone + #private::Eq + #private::Hash
                        + #private::Send + #private::Sync + 'static
                },
            });
        }
    }
    generics
}

/// `CacheEntity::Key`.
pub(crate) fn key_type(
    target: &Struct<'_>,
    key: &EntityKey<'_>,
    private: &TokenStream,
) -> TokenStream {
    match key {
        EntityKey::Field(at) => target.fields[*at].ty.to_token_stream(),
        EntityKey::Template(_) => quote!(#private::String),
        EntityKey::Typed(key) => typed_key::name(target, key.name).to_token_stream(),
        EntityKey::Function(_, ty) | EntityKey::Expression(_, ty) => ty.to_token_stream(),
    }
}

/// The typed key, if there is one.
pub(crate) fn key_items(
    target: &Struct<'_>,
    key: &EntityKey<'_>,
    private: &TokenStream,
) -> TokenStream {
    match key {
        EntityKey::Typed(key) => typed_key::items(target, key, private),
        EntityKey::Field(_)
        | EntityKey::Template(_)
        | EntityKey::Function(..)
        | EntityKey::Expression(..) => TokenStream::new(),
    }
}

fn key_value(target: &Struct<'_>, key: &EntityKey<'_>, private: &TokenStream) -> TokenStream {
    let copy = |at: usize| {
        let member = &target.fields[at].member;
        let field = reference(target, &quote!(self.#member));
        quote!(#private::Clone::clone(#field))
    };
    match key {
        EntityKey::Field(at) => copy(*at),
        EntityKey::Template(pieces) => {
            let pushes = pieces
                .iter()
                .map(|piece| push(target, piece, &quote!(self), &quote!(&mut __key), private));
            quote! {
                let mut __key = #private::String::new();
                #(#pushes)*
                __key
            }
        }
        EntityKey::Typed(key) => {
            let name = typed_key::name(target, key.name);
            let copies = key.parts.iter().map(|part| copy(part.field));
            quote!(#name::new(#(#copies),*))
        }
        EntityKey::Function(path, ty) => call(path, Some(quote!(self)), ty.to_token_stream()),
        EntityKey::Expression(expression, ty) => {
            let bindings = bindings(target, expression, &quote!(*self));
            let value = value(target, expression, private);
            quote! {
                #bindings
                let __key: #ty = #value;
                __key
            }
        }
    }
}

/// A call of the user's function with `argument`.
///
/// Through a function pointer, so that a function with another signature is reported where it is
/// named, together with the expected one.
fn call(path: &ExprPath, argument: Option<TokenStream>, output: TokenStream) -> TokenStream {
    let first = path.to_token_stream().into_iter().next();
    let named = first.map_or_else(Span::call_site, |first| first.span());
    let at = Span::call_site().located_at(named);
    let input = argument.as_ref().map(|_| quote!(_));
    let argument = argument.into_iter().flatten().map(|mut token| {
        token.set_span(at);
        token
    });
    let function = Ident::new("__function", at);
    let call = quote_spanned!(at=> #function(#(#argument)*));
    quote! {
        let #function: fn(#input) -> #output = #path;
        #call
    }
}

/// A method that returns a duration.
fn duration(
    method: &str,
    duration: Option<Duration>,
    private: &TokenStream,
) -> Option<TokenStream> {
    let duration = duration?;
    let method = quote::format_ident!("{method}");
    let seconds = Literal::u64_unsuffixed(duration.as_secs());
    let nanos = Literal::u32_unsuffixed(duration.subsec_nanos());
    Some(quote! {
        fn #method() -> #private::Option<#private::Duration> {
            #private::Option::Some(#private::Duration::new(#seconds, #nanos))
        }
    })
}

/// A method that returns a finite number. `f64` has its full path, since a type of the user's may have
/// its name.
fn number(method: &str, number: Option<f64>, private: &TokenStream) -> Option<TokenStream> {
    let number = Literal::f64_unsuffixed(number?);
    let method = quote::format_ident!("{method}");
    Some(quote! {
        fn #method() -> #private::Option<#private::f64> {
            #private::Option::Some(#number)
        }
    })
}
