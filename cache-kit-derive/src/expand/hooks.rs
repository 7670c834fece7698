//! The hooks of a feeder: methods that call the functions the user named.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ExprPath;

use crate::ast::Struct;
use crate::attr::feeder::FeederAttr;
use crate::check::feeder::Slot;
use crate::tokens::{located_at, with_self};

/// The caller: every hook gets the struct with the derive.
pub(super) struct Caller<'a> {
    pub(super) target: &'a Struct<'a>,
    pub(super) slot: Slot,
    /// Whether it feeds a batch, whose hooks also get the position of their key.
    pub(super) many: bool,
    pub(super) entity: &'a TokenStream,
    pub(super) private: &'a TokenStream,
    /// The feeder's own check of the request, after the hook's.
    pub(super) valid: Option<TokenStream>,
}

impl Caller<'_> {
    pub(super) fn methods(&self, attr: &FeederAttr) -> TokenStream {
        let Self {
            entity, private, ..
        } = self;
        let key = ("__key", quote!(&#private::str));
        let entity = ("__entity", quote!(&#entity));
        let validate = match (attr.validate.value(), &self.valid) {
            (None, Some(valid)) => Some(quote! {
                fn validate(&self) -> #private::Result<()> {
                    #valid
                }
            }),
            (path, _) => path.map(|path| self.method("validate", path, None)),
        };
        let methods = [
            ("on_hit", attr.on_hit.value(), &key),
            ("on_miss", attr.on_miss.value(), &key),
            ("on_loaded", attr.on_loaded.value(), &entity),
        ];
        let methods = methods
            .into_iter()
            .filter_map(|(name, path, argument)| Some(self.method(name, path?, Some(argument))));
        let unwanted = [
            ("wants_hits", attr.on_hit.value()),
            ("wants_misses", attr.on_miss.value()),
        ];
        let unwanted = unwanted
            .into_iter()
            .filter(|(_, hook)| !self.many && hook.is_none())
            .map(|(name, _)| {
                let name = Ident::new(name, Span::call_site());
                quote! {
                    fn #name(&self) -> #private::bool {
                        false
                    }
                }
            });
        validate
            .into_iter()
            .chain(unwanted)
            .chain(methods)
            .collect()
    }

    /// The function is called through a trait, so that the error for a function with other
    /// arguments names the expected ones, where the function is named.
    fn method(
        &self,
        name: &str,
        path: &ExprPath,
        argument: Option<&(&str, TokenStream)>,
    ) -> TokenStream {
        let last = path.path.segments.last();
        let span = last.map_or_else(Span::call_site, |last| last.ident.span());
        let at = Span::call_site().located_at(span);
        let private = located_at(self.private.clone(), at);
        let name = Ident::new(name, at);
        // Only `validate` has no argument, and only `validate` takes `&self`.
        let borrow = match argument {
            None => quote_spanned!(at=> &),
            Some(_) => quote_spanned!(at=> &mut),
        };
        let (this, this_type) = match self.slot {
            Slot::Field(_) => (quote_spanned!(at=> self), quote_spanned!(at=> Self)),
            Slot::Companion => (quote_spanned!(at=> #borrow self.request), self.target.ty()),
        };
        let position = ("__position", quote!(#private::usize));
        let position = argument.filter(|_| self.many).map(|_| &position);
        let (names, types): (Vec<Ident>, Vec<&TokenStream>) = position
            .into_iter()
            .chain(argument)
            .map(|(name, ty)| (Ident::new(name, at), ty))
            .unzip();
        let function = self.function(path);
        let valid = self.valid.as_ref().filter(|_| argument.is_none());
        let then = valid.map(|valid| quote_spanned!(at=> ?; #valid));
        quote_spanned! {at=>
            fn #name(#borrow self #(, #names: #types)*) -> #private::Result<()> {
                #private::Hook::<(#borrow #this_type, #(#types,)*)>::call(
                    #function,
                    (#this, #(#names,)*),
                ) #then
            }
        }
    }

    /// In a feeder around a request, `Self` in a path still is the request.
    fn function(&self, path: &ExprPath) -> TokenStream {
        match self.slot {
            Slot::Companion => with_self(path.to_token_stream(), &self.target.ty()),
            Slot::Field(_) => path.to_token_stream(),
        }
    }
}
