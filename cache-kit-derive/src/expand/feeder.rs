//! The output of `#[derive(CacheFeeder)]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Generics, Type, parse_quote};

use super::companion::Companion;
use super::hooks::Caller;
use crate::ast::{Field, Struct};
use crate::attr::feeder::FeederAttr;
use crate::check::feeder::{Feeder, Slot};
use crate::check::holder::Holder;
use crate::check::key_text::FieldPath;
use crate::check::request_key::RequestKey;
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
pub(super) struct Feed<'a> {
    pub(super) target: &'a Struct<'a>,
    pub(super) feeder: &'a Ident,
    pub(super) entity: &'a TokenStream,
    pub(super) slot: Slot,
    /// The span for errors about the entity: where it is named, but not as code that the user
    /// wrote.
    pub(super) at: Span,
    pub(super) private: TokenStream,
    /// The type of the entity's key.
    pub(super) key_type: TokenStream,
    /// The struct with the derive.
    pub(super) request: TokenStream,
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
