//! The feeder that is generated for a request.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;

use crate::ast::{Struct, usable};
use crate::lints::{hidden, private_interfaces};

/// The parts of a companion besides its `CacheFeed`.
pub(crate) struct Companion {
    /// `GetUserFeeder`, resolved like the user's code, but not treated as code that the user wrote.
    pub(crate) name: Ident,
    /// Whether it carries the answers of a batch.
    pub(crate) many: bool,
}

impl Companion {
    pub(crate) fn new(target: &Struct<'_>, name: Option<&Ident>, many: bool) -> Self {
        let generated = |ident: &Ident| Span::call_site().located_at(ident.span());
        let name = match name {
            Some(name) => usable(&name.unraw().to_string(), generated(name)),
            None => {
                let ident = target.ident;
                format_ident!("{}Feeder", ident, span = generated(ident))
            }
        };
        Self { name, many }
    }

    /// The struct, its constructor and its accessors.
    pub(crate) fn items(
        &self,
        target: &Struct<'_>,
        entity: &TokenStream,
        private: &TokenStream,
    ) -> TokenStream {
        let Struct {
            ident,
            vis,
            generics,
            lints,
            ..
        } = target;
        let hidden = hidden(target.attrs);
        let private_interfaces = private_interfaces(vis);
        let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
        let feeder = &self.name;
        let feeder_name = feeder.unraw().to_string();
        let (answer, answer_type, none, about_answer, what) = if self.many {
            (
                quote!(entities),
                quote!(#private::Vec<#private::Option<#private::Arc<#entity>>>),
                quote!(#private::Vec::new()),
                " The answers, after the call: one for each key, in the order of the keys.",
                "entities",
            )
        } else {
            (
                quote!(entity),
                quote!(#private::Option<#private::Arc<#entity>>),
                quote!(#private::Option::None),
                " The answer, after the call.",
                "entity",
            )
        };
        let answered = if self.many {
            quote!(!#private::Vec::is_empty(&self.entities))
        } else {
            quote!(#private::Option::is_some(&self.entity))
        };
        let into_answer = format_ident!("into_{what}");
        let about = format!(
            " Carries a {} to the cache, and the {what} back.",
            link(ident)
        );
        let about_into_answer = format!(" Takes the {what} out, without the request.");
        let about_into = format!(
            " Makes a {} of the request, ready for the cache.",
            link(feeder)
        );
        quote! {
            #[doc = #about]
            #hidden
            #lints
            #private_interfaces
            #vis struct #feeder #generics #where_clause {
                /// What is asked for.
                #vis request: #ident #ty_generics,
                #[doc = #about_answer]
                #vis #answer: #answer_type,
            }

            #lints
            #private_interfaces
            #[automatically_derived]
            impl #impl_generics #feeder #ty_generics #where_clause {
                /// A feeder that asks for what `request` says, not answered yet.
                #vis fn new(request: #ident #ty_generics) -> Self {
                    Self { request, #answer: #none }
                }

                #[doc = #about_into_answer]
                #vis fn #into_answer(self) -> #answer_type {
                    self.#answer
                }
            }

            #lints
            #[automatically_derived]
            impl #impl_generics #ident #ty_generics #where_clause {
                #[doc = #about_into]
                #vis fn into_feeder(self) -> #feeder #ty_generics {
                    #feeder::new(self)
                }
            }

            // Shows neither the request nor the entity, so that neither must be `Debug` and no
            // value gets into a log.
            #lints
            #[automatically_derived]
            impl #impl_generics #private::Debug for #feeder #ty_generics #where_clause {
                fn fmt(&self, __f: &mut #private::Formatter<'_>) -> #private::FmtResult {
                    #private::debug_feeder(__f, #feeder_name, #answered)
                }
            }
        }
    }
}

/// A name as a link in rustdoc, which does not support raw names.
fn link(ident: &Ident) -> String {
    let name = ident.unraw();
    if *ident == name {
        format!("[`{name}`]")
    } else {
        format!("`{name}`")
    }
}
