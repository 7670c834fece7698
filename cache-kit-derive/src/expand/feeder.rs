//! The output of `#[derive(CacheFeeder)]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Generics, Member, Type, parse_quote};

use super::companion::Companion;
use super::entity::{bindings, push, value};
use super::hooks::Caller;
use crate::ast::{Field, Struct};
use crate::attr::feeder::FeederAttr;
use crate::check::expression::Expression;
use crate::check::feeder::{Feeder, Slot};
use crate::check::holder::{By, Holder, ungrouped};
use crate::check::key_text::FieldPath;
use crate::check::request_key::RequestKey;
use crate::check::typed_key::Part;
use crate::text::template::Piece;
use crate::tokens::{first_span, located_at, mentions, with_self};

pub(super) fn expand(
    target: &Struct<'_>,
    entity: &Type,
    key: &RequestKey,
    found: &Feeder<'_>,
    attr: &FeederAttr,
    private: &TokenStream,
) -> TokenStream {
    let entity = match found.slot {
        // In the feeder that is generated `Self` would be that.
        Slot::Companion => with_self(entity.to_token_stream(), &target.ty()),
        Slot::Field(_) => entity.to_token_stream(),
    };
    match found.slot {
        Slot::Field(_) => Feed::new(target, target.ident, &entity, found.slot, private).expand(
            key,
            found.is_batch(),
            attr,
        ),
        Slot::Companion => {
            let companion = Companion::new(target, found.name.as_ref(), found.is_batch());
            let items = companion.items(target, &entity, private);
            let feed = Feed::new(target, &companion.name, &entity, found.slot, private).expand(
                key,
                companion.many,
                attr,
            );
            quote!(#items #feed)
        }
    }
}

/// An `impl CacheFeed` or `impl CacheFeedMany`.
struct Feed<'a> {
    target: &'a Struct<'a>,
    feeder: &'a Ident,
    entity: &'a TokenStream,
    slot: Slot,
    /// The span for errors about the entity: where it is named, but not as code that the user
    /// wrote.
    at: Span,
    private: TokenStream,
    /// The type of the entity's key.
    key_type: TokenStream,
    /// The struct with the derive.
    request: TokenStream,
}

impl<'a> Feed<'a> {
    fn new(
        target: &'a Struct<'a>,
        feeder: &'a Ident,
        entity: &'a TokenStream,
        slot: Slot,
        private: &TokenStream,
    ) -> Self {
        let at = Span::call_site().located_at(first_span(entity));
        let private = located_at(private.clone(), at);
        let key_type = quote_spanned!(at=> #private::Key<#entity>);
        let request = match slot {
            Slot::Field(_) => quote_spanned!(at=> self),
            Slot::Companion => quote_spanned!(at=> self.request),
        };
        Self {
            target,
            feeder,
            entity,
            slot,
            at,
            private,
            key_type,
            request,
        }
    }

    fn expand(&self, key: &RequestKey, many: bool, attr: &FeederAttr) -> TokenStream {
        let Self {
            feeder,
            entity,
            private,
            ..
        } = self;
        let (of, ids, answers) = if many {
            let of = quote_spanned!(self.at=> #private::CacheFeedMany);
            (of, self.entity_ids(key), self.feed_many())
        } else {
            let of = quote_spanned!(self.at=> #private::CacheFeed);
            (of, self.entity_id(key), self.feed())
        };
        let valid = match key {
            RequestKey::Template(pieces) => Some(self.check_template(pieces)),
            RequestKey::Field(_) | RequestKey::Typed(_) | RequestKey::Expression(_) => None,
        };
        // In the feeder that is generated `Self` would be that.
        let of_request = |tokens| match self.slot {
            Slot::Companion => with_self(tokens, &self.target.ty()),
            Slot::Field(_) => tokens,
        };
        let ids = of_request(ids);
        let caller = Caller {
            target: self.target,
            slot: self.slot,
            many,
            entity,
            private,
            valid: valid.map(of_request),
        };
        let hooks = caller.methods(attr);
        let generics = self.generics(key);
        let lints = &self.target.lints;
        let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
        quote_spanned! {self.at=>
            #lints
            #[automatically_derived]
            impl #impl_generics #of<#entity> for #feeder #ty_generics #where_clause {
                #ids
                #answers
                #hooks
            }
        }
    }

    /// The struct's generics, with the bounds that its key needs if it is a parameter.
    fn generics(&self, key: &RequestKey) -> Generics {
        let Self {
            private, key_type, ..
        } = self;
        let mut generics = self.target.generics.clone();
        let params: Vec<Ident> = generics
            .type_params()
            .map(|param| param.ident.clone())
            .collect();
        let fields = match key {
            RequestKey::Field(at) => vec![*at],
            RequestKey::Template(pieces) => {
                let fields = pieces.iter().filter_map(Piece::field);
                fields.filter_map(FieldPath::whole_field).collect()
            }
            RequestKey::Typed(_) | RequestKey::Expression(_) => Vec::new(),
        };
        for at in fields {
            let ty = self.target.fields[at].ty;
            let bound = match (key, Holder::of(ty)) {
                (RequestKey::Template(_), _) => parse_quote!(#ty: #private::Display),
                (_, Holder::One { ty, .. } | Holder::Many { ty, .. }) => {
                    parse_quote!(#ty: #private::KeyField<#key_type>)
                }
                (_, Holder::Unordered) => continue,
            };
            if mentions(ty.to_token_stream(), &params) {
                generics.make_where_clause().predicates.push(bound);
            }
        }
        if !params.is_empty() {
            let feeder = self.feeder;
            let ty_generics = generics.split_for_impl().1.to_token_stream();
            let send = parse_quote!(#feeder #ty_generics: #private::Send);
            generics.make_where_clause().predicates.push(send);
        }
        generics
    }

    fn entity_id(&self, key: &RequestKey) -> TokenStream {
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

    fn entity_ids(&self, key: &RequestKey) -> TokenStream {
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
    fn check_template(&self, pieces: &[Piece<FieldPath>]) -> TokenStream {
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

    fn feed(&self) -> TokenStream {
        let Self {
            entity, private, ..
        } = self;
        let (put, share) = match self.slot {
            Slot::Field(at) => {
                let Field { member, ty, .. } = &self.target.fields[at];
                let field = quote_spanned!(self.at=> <#ty as #private::EntityField<#entity>>);
                (
                    quote_spanned!(self.at=> #field::put(&mut self.#member, __entity);),
                    quote_spanned!(self.at=> #field::share(&mut self.#member, __entity);),
                )
            }
            Slot::Companion => (
                quote_spanned!(self.at=> self.entity = __entity.map(#private::Arc::new);),
                quote_spanned!(self.at=> self.entity = __entity;),
            ),
        };
        quote_spanned! {self.at=>
            fn feed(&mut self, __entity: #private::Option<#entity>) {
                #put
            }

            fn feed_shared(&mut self, __entity: #private::Option<#private::Arc<#entity>>) {
                #share
            }
        }
    }

    fn feed_many(&self) -> TokenStream {
        let Self {
            entity, private, ..
        } = self;
        let put = match self.slot {
            Slot::Field(at) => {
                let Field { member, ty, .. } = &self.target.fields[at];
                quote_spanned! {self.at=>
                    <#ty as #private::EntitiesField<#entity>>::put_many(&mut self.#member, __entities);
                }
            }
            Slot::Companion => quote_spanned!(self.at=> self.entities = __entities;),
        };
        quote_spanned! {self.at=>
            fn feed_many(
                &mut self,
                __entities: #private::Vec<#private::Option<#private::Arc<#entity>>>,
            ) {
                #put
            }
        }
    }
}
