//! Code that makes a key of fields, for entities and for requests.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use crate::ast::{Field, Struct};
use crate::check::expression::{self, Expression, reference};
use crate::check::key_text::FieldPath;
use crate::text::template::Piece;
use crate::tokens::{first_span, located_at};

/// Writes a piece of a template into `key`.
pub(super) fn push(
    target: &Struct<'_>,
    piece: &Piece<FieldPath>,
    owner: &TokenStream,
    key: &TokenStream,
    private: &TokenStream,
) -> TokenStream {
    match piece {
        Piece::Text(text) => quote!(#private::String::push_str(#key, #text);),
        Piece::Field(FieldPath { field, rest }) => {
            // Because the type is named here, a missing `Display` is reported on it.
            let ty = rest.is_empty().then(|| target.fields[*field].ty);
            let ty = ty.map(|ty| quote!(::<#ty>));
            let member = &target.fields[*field].member;
            let place = reference(target, &quote!(#owner.#member #(.#rest)*));
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
