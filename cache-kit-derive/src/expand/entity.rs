//! The output of `#[derive(CacheEntity)]`.

use std::time::Duration;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{ExprPath, Generics, parse_quote};

use super::tokens::{first_span, located_at};
use super::{fingerprint, schema, typed_key};
use crate::ast::{Field, Shape, Struct};
use crate::attr::cache::Predicates;
use crate::check::entity::{Entity, Prefix, generic_key_types};
use crate::check::expression::{self, Expression, reference};
use crate::check::key::Key;
use crate::check::names::Piece;

pub(super) fn expand(
    shape: &Shape<'_>,
    entity: &Entity<'_>,
    key: &Key<'_>,
    private: &TokenStream,
) -> TokenStream {
    let target = shape.target();
    let ident = target.ident;
    let generics = generics(target, Some(key), entity.bound, private);
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
    let number = Literal::u64_unsuffixed(fingerprint::of(shape, entity.version));
    let schema = if nested.is_empty() {
        number.to_token_stream()
    } else {
        quote!(#private::Schema::of::<Self>())
    };
    let schema_impl = schema::of_shape(target, &generics, &number, &nested, private);

    let ttl = duration("cache_ttl", entity.ttl, private);
    let stale = duration("cache_stale_if_error", entity.stale_if_error, private);
    let negative_ttl = duration("cache_negative_ttl", entity.negative_ttl, private);
    let max_bytes = entity.max_bytes.map(|bytes| {
        let bytes = Literal::u32_unsuffixed(bytes);
        quote! {
            fn cache_max_bytes() -> #private::Option<#private::usize> {
                #private::Option::Some(#bytes)
            }
        }
    });
    let validate = entity.validate.map(|path| {
        let call = call(path, Some(quote!(self)), quote!(#private::Result<()>));
        quote! {
            fn cache_validate(&self) -> #private::Result<()> {
                #call
            }
        }
    });
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

            #ttl
            #stale
            #negative_ttl
            #max_bytes
            #validate
        }

        #schema_impl

        #key_items
    }
}

/// The generics of the type, with the bounds that an entity and its key need.
pub(crate) fn generics(
    target: &Struct<'_>,
    key: Option<&Key<'_>>,
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
    predicates.extend(bound.into_iter().flatten().cloned());
    predicates.push(parse_quote! {
        #ident #ty_generics: #private::Storable + #private::Send + #private::Sync + 'static
    });
    if let Some(key) = key {
        for ty in generic_key_types(target, key) {
            predicates.push(match key {
                Key::Template(_) => parse_quote!(#ty: #private::Display),
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
pub(crate) fn key_type(target: &Struct<'_>, key: &Key<'_>, private: &TokenStream) -> TokenStream {
    match key {
        Key::Field(at) => target.fields[*at].ty.to_token_stream(),
        Key::Template(_) => quote!(#private::String),
        Key::Parts(parts) => typed_key::name(target, parts.name).to_token_stream(),
        Key::With(_, ty) | Key::Expression(_, ty) => ty.to_token_stream(),
    }
}

/// The typed key, if there is one.
pub(crate) fn key_items(target: &Struct<'_>, key: &Key<'_>, private: &TokenStream) -> TokenStream {
    match key {
        Key::Parts(parts) => typed_key::items(target, parts, private),
        Key::Field(_) | Key::Template(_) | Key::With(..) | Key::Expression(..) => {
            TokenStream::new()
        }
    }
}

fn key_value(target: &Struct<'_>, key: &Key<'_>, private: &TokenStream) -> TokenStream {
    let copy = |at: &usize| {
        let member = &target.fields[*at].member;
        let field = reference(target, &quote!(self.#member));
        quote!(#private::Clone::clone(#field))
    };
    match key {
        Key::Field(at) => copy(at),
        Key::Template(pieces) => {
            let pushes = pieces
                .iter()
                .map(|piece| push(target, piece, &quote!(self), &quote!(&mut __key), private));
            quote! {
                let mut __key = #private::String::new();
                #(#pushes)*
                __key
            }
        }
        Key::Parts(parts) => {
            let name = typed_key::name(target, parts.name);
            let copies = parts.fields.iter().map(copy);
            quote!(#name::new(#(#copies),*))
        }
        Key::With(path, ty) => call(path, Some(quote!(self)), ty.to_token_stream()),
        Key::Expression(expression, ty) => {
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

/// Writes a piece of a template into `key`.
pub(super) fn push(
    target: &Struct<'_>,
    piece: &Piece,
    owner: &TokenStream,
    key: &TokenStream,
    private: &TokenStream,
) -> TokenStream {
    match piece {
        Piece::Text(text) => quote!(#private::String::push_str(#key, #text);),
        Piece::Field(at, way) => {
            // Because the type is named here, a missing `Display` is reported on it.
            let ty = way.is_empty().then(|| target.fields[*at].ty);
            let ty = ty.map(|ty| quote!(::<#ty>));
            let member = &target.fields[*at].member;
            let place = reference(target, &quote!(#owner.#member #(.#way)*));
            quote!(#private::push_part #ty (#key, #place);)
        }
    }
}

/// The names that an expression has for `self` and the fields, where `self` is `owner`.
pub(super) fn bindings(
    target: &Struct<'_>,
    expression: &Expression,
    place: &TokenStream,
) -> TokenStream {
    let owner = expression::owner();
    let fields = expression.bound.iter().map(|at| {
        let Field { member, name, .. } = &target.fields[*at];
        let binding = expression::binding(name);
        let field = reference(target, &quote!(#owner.#member));
        quote!(let #binding = #field;)
    });
    quote! {
        let #owner = &#place;
        #(#fields)*
    }
}

/// The value of an expression, converted to a key.
pub(super) fn value(
    target: &Struct<'_>,
    expression: &Expression,
    private: &TokenStream,
) -> TokenStream {
    let tokens = &expression.tokens;
    let at = Span::call_site().located_at(first_span(tokens));
    let private = located_at(private.clone(), at);
    if expression.is_place {
        let place = if target.is_packed {
            quote_spanned!(at=> &{ #tokens })
        } else {
            quote_spanned!(at=> &#tokens)
        };
        quote_spanned!(at=> #private::KeyField::to_key(#place))
    } else {
        quote_spanned!(at=> #private::KeyValue::into_key(#tokens))
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
