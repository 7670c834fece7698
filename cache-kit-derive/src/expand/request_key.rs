//! The key that a feeder asks for.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Member, Type};

use super::feeder::Feed;
use super::key::{bindings, push, value};
use crate::ast::Field;
use crate::check::expression::Expression;
use crate::check::holder::{By, Holder, ungrouped};
use crate::check::key_text::FieldPath;
use crate::check::request_key::RequestKey;
use crate::check::typed_key::Part;
use crate::text::template::Piece;
use crate::tokens::{first_span, mentions};

impl Feed<'_> {
    pub(super) fn entity_id(&self, key: &RequestKey) -> TokenStream {
        let Self {
            private, key_type, ..
        } = self;
        let value = match key {
            RequestKey::Field(at) => {
                let (ty, place) = self.held(&self.target.fields[*at]);
                quote_spanned!(self.at=> <#ty as #private::KeyField<_>>::to_key(#place))
            }
            RequestKey::Typed(parts) => self.typed_key(parts),
            RequestKey::Template(pieces) => self.template(pieces),
            RequestKey::Expression(expression) => self.expression(expression),
        };
        let borrowed = match key {
            RequestKey::Field(at) if !self.target.is_packed => {
                self.borrowed_id(&self.target.fields[*at])
            }
            _ => None,
        };
        quote_spanned! {self.at=>
            fn entity_id(&mut self) -> #key_type {
                #value
            }

            #borrowed
        }
    }

    /// The key by reference. The compiler decides whether the field has the type of the key: the
    /// inherent function, which exists only then, takes precedence over that of a trait.
    fn borrowed_id(&self, field: &Field<'_>) -> Option<TokenStream> {
        let Self {
            private, key_type, ..
        } = self;
        let (mut ty, place) = self.held(field);
        if matches!(ty, Type::Path(path) if path.path.is_ident("str")) {
            ty = match Holder::of(field.ty) {
                Holder::One { by: By::Arc, .. } => field.ty,
                _ => return None,
            };
        }
        Some(quote_spanned! {self.at=>
            fn borrowed_id(&self) -> #private::Option<&#key_type> {
                use #private::Different as _;
                #private::Same::<#ty, #key_type>::cast(#place)
            }
        })
    }

    pub(super) fn entity_ids(&self, key: &RequestKey) -> TokenStream {
        let Self {
            private,
            key_type,
            request,
            ..
        } = self;
        let mut value = quote_spanned!(self.at=> #private::Vec::new());
        if let RequestKey::Field(at) = key {
            let Field { member, ty, .. } = &self.target.fields[*at];
            if let Holder::Many { ty, by } = Holder::of(ty) {
                let place = match by {
                    By::Reference => quote_spanned!(self.at=> #request.#member),
                    By::Value | By::Arc => self.reference(member),
                };
                value = match ty {
                    Type::Reference(reference) => {
                        let ty = &reference.elem;
                        quote_spanned!(self.at=> #private::to_keys_behind::<#ty, _>(#place))
                    }
                    ty => quote_spanned!(self.at=> #private::to_keys::<#ty, _>(#place)),
                };
            }
        }
        quote_spanned! {self.at=>
            fn entity_ids(&mut self) -> #private::Vec<#key_type> {
                #value
            }
        }
    }

    /// `Key { order_id: …, item_id: … }`: by name, so that two parts of one type cannot be mixed
    /// up.
    fn typed_key(&self, parts: &[Part]) -> TokenStream {
        let Self {
            private, key_type, ..
        } = self;
        let fields = parts.iter().map(|part| {
            let name = &part.name;
            let (ty, place) = self.held(&self.target.fields[part.field]);
            quote_spanned!(self.at=> #name: <#ty as #private::KeyPart<_>>::to_part(#place))
        });
        // An alias inside a function can't see the parameters of the impl.
        let params = self.target.generics.type_params().map(|param| &param.ident);
        let params: Vec<&Ident> = params
            .filter(|param| mentions(self.entity.clone(), &[(*param).clone()]))
            .collect();
        let generics = (!params.is_empty()).then(|| quote_spanned!(self.at=> <#(#params),*>));
        let turbofish = generics
            .as_ref()
            .map(|generics| quote_spanned!(self.at=> ::#generics));
        // The compiler lists the existing parts only for spans of the user's code. There, a literal
        // with numbered fields would cause a warning.
        let at = match parts.first() {
            Some(Part {
                name: Member::Named(_),
                ..
            }) => first_span(self.entity),
            _ => self.at,
        };
        let literal = quote_spanned!(at=> __Key #turbofish { #(#fields),* });
        quote_spanned! {self.at=>
            type __Key #generics = #key_type;
            #literal
        }
    }

    fn template(&self, pieces: &[Piece<FieldPath>]) -> TokenStream {
        let private = &self.private;
        let pushes = self.pushes(pieces, &quote!(&mut __key));
        quote_spanned! {self.at=>
            let mut __key = #private::String::new();
            #pushes
            #private::KeyValue::into_key(__key)
        }
    }

    /// Checks that the template has a text.
    pub(super) fn check_template(&self, pieces: &[Piece<FieldPath>]) -> TokenStream {
        let Self {
            entity, private, ..
        } = self;
        let pushes = self.pushes(pieces, &quote!(__key));
        quote_spanned!(self.at=> #private::check_template::<#entity>(|__key| { #pushes }))
    }

    /// Writes the pieces of a template into `key`.
    fn pushes(&self, pieces: &[Piece<FieldPath>], key: &TokenStream) -> TokenStream {
        let Self {
            private, request, ..
        } = self;
        pieces
            .iter()
            .map(|piece| push(self.target, piece, request, key, private))
            .collect()
    }

    fn expression(&self, expression: &Expression) -> TokenStream {
        let Self {
            private,
            request,
            target,
            ..
        } = self;
        let bindings = bindings(target, expression, request);
        let value = value(target, expression, private);
        quote!(#bindings #value)
    }

    /// The type of a field's value as a whole, and a reference to it.
    fn held<'f>(&self, field: &Field<'f>) -> (&'f Type, TokenStream) {
        let request = &self.request;
        let Field { member, ty, .. } = field;
        match Holder::of(ty) {
            Holder::One {
                ty,
                by: By::Reference,
            } => (ty, quote_spanned!(self.at=> #request.#member)),
            Holder::One { ty, by: By::Arc } => (ty, self.reference(member)),
            _ => (ungrouped(ty), self.reference(member)),
        }
    }

    /// A reference to a field, or to a copy of it.
    fn reference(&self, member: &Member) -> TokenStream {
        let request = &self.request;
        if self.target.is_packed {
            quote_spanned!(self.at=> &{ #request.#member })
        } else {
            quote_spanned!(self.at=> &#request.#member)
        }
    }
}
