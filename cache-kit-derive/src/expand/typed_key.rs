//! The struct that is the key of an entity with several key fields.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::Member;
use syn::ext::IdentExt;

use crate::ast::{Field, Struct, usable};
use crate::check::named::is_plain;
use crate::check::typed_key::{Part, TypedKey};
use crate::lints::{hidden, private_interfaces};
use crate::tokens::{mentions, with_self};

/// `OrderItemKey`, or the stated name, resolved like the user's code, but not treated as code that
/// the user wrote.
pub(crate) fn name(target: &Struct<'_>, stated: Option<&Ident>) -> Ident {
    let generated = |ident: &Ident| Span::call_site().located_at(ident.span());
    match stated {
        Some(name) => usable(&name.unraw().to_string(), generated(name)),
        None => {
            let ident = target.ident;
            format_ident!("{}Key", ident, span = generated(ident))
        }
    }
}

pub(super) fn items(target: &Struct<'_>, key: &TypedKey<'_>, private: &TokenStream) -> TokenStream {
    let name = name(target, key.name);
    let parts = key.parts.iter();
    let parts: Vec<PartField<'_>> = parts.map(|part| PartField::new(target, part)).collect();
    let typed = KeyStruct {
        target,
        key,
        name: &name,
        parts: &parts,
        private,
    };
    let (attributes, definition) = (typed.attributes(), typed.definition());
    let items = [
        typed.constructor(),
        typed.display(),
        typed.parsing(),
        typed.of_one_part(),
        typed.without_derives(),
    ];
    let lints = &target.lints;
    let private_interfaces = typed.private_interfaces();
    let items = items.into_iter().flatten().map(|item| {
        quote! {
            #lints
            #[automatically_derived]
            #item
        }
    });
    quote! {
        #attributes
        #lints
        #private_interfaces
        #definition

        #(#items)*
    }
}

/// The struct that is generated.
struct KeyStruct<'a> {
    target: &'a Struct<'a>,
    key: &'a TypedKey<'a>,
    name: &'a Ident,
    parts: &'a [PartField<'a>],
    private: &'a TokenStream,
}

/// A field of it, for a part of the key.
struct PartField<'a> {
    /// The field of the entity.
    field: &'a Field<'a>,
    member: &'a Member,
    /// Its name, if it is not numbered.
    argument: Ident,
    ty: TokenStream,
    /// Whether its type is known to have an order and to be parsed from text. Other types may as
    /// well.
    is_plain: bool,
}

impl<'a> PartField<'a> {
    fn new(target: &'a Struct<'a>, part: &'a Part) -> Self {
        let self_ident = Ident::new("Self", Span::call_site());
        let field = &target.fields[part.field];
        let ty = field.ty.to_token_stream();
        Self {
            field,
            member: &part.name,
            argument: match &part.name {
                Member::Named(name) => name.clone(),
                Member::Unnamed(number) => format_ident!("part_{}", number.index),
            },
            // Inside the key, `Self` would be the key.
            ty: if mentions(ty.clone(), &[self_ident]) {
                with_self(ty, &target.ty())
            } else {
                ty
            },
            is_plain: is_plain(field.ty),
        }
    }
}

impl KeyStruct<'_> {
    /// Whether all parts are known to have what an order and the standard derives need.
    fn is_plain(&self) -> bool {
        self.parts.iter().all(|part| part.is_plain)
    }

    fn private_interfaces(&self) -> Option<TokenStream> {
        let has_others = !self.is_plain();
        has_others
            .then(|| private_interfaces(self.target.vis))
            .flatten()
    }

    fn attributes(&self) -> TokenStream {
        let Self { private, .. } = self;
        let about = format!(
            "The key of `{}`. Its text is its parts joined by `:`, with `%` and `:` inside a \
             part escaped, so that different keys have different texts.",
            self.target.ident.unraw()
        );
        let hidden = hidden(self.target.attrs);
        let own = self.is_plain().then(|| {
            quote! {
                #[derive(
                    #private::Clone,
                    #private::Debug,
                    #private::PartialEq,
                    #private::Eq,
                    #private::PartialOrd,
                    #private::Ord,
                    #private::Hash,
                )]
            }
        });
        let stated = self.key.derives;
        let stated = (!stated.is_empty()).then(|| quote!(#[derive(#(#stated),*)]));
        quote!(#[doc = #about] #hidden #own #stated)
    }

    fn definition(&self) -> TokenStream {
        let Self { target, name, .. } = self;
        let vis = target.vis;
        let fields = self.parts.iter().map(|part| {
            let about = format!("The `{}` of the entity.", part.field.name);
            let PartField { member, ty, .. } = part;
            let member = (!target.is_tuple).then(|| quote!(#member:));
            quote!(#[doc = #about] #vis #member #ty)
        });
        if target.is_tuple {
            quote!(#vis struct #name (#(#fields),*);)
        } else {
            quote!(#vis struct #name { #(#fields),* })
        }
    }

    fn constructor(&self) -> Option<TokenStream> {
        let Self { target, name, .. } = self;
        let vis = target.vis;
        let private_interfaces = self.private_interfaces();
        let members = self.parts.iter().map(|part| &part.member);
        let arguments = self.parts.iter().map(|part| &part.argument);
        let declared = self.parts.iter().map(|part| {
            let PartField { argument, ty, .. } = part;
            quote!(#argument: #ty)
        });
        Some(quote! {
            #private_interfaces
            impl #name {
                /// The key that has these parts.
                #[allow(clippy::too_many_arguments, reason = "a key has as many as its entity says")]
                #vis fn new(#(#declared),*) -> Self {
                    Self { #(#members: #arguments),* }
                }
            }
        })
    }

    fn display(&self) -> Option<TokenStream> {
        let Self { name, private, .. } = self;
        let writes = self.parts.iter().enumerate().map(|(at, part)| {
            let separator = (at > 0).then(|| quote!(#private::write_separator(__f)?;));
            let PartField { member, ty, .. } = part;
            let write = if part.is_plain {
                quote!(#private::write_part::<#ty>(__f, &self.#member)?;)
            } else {
                quote!(<#ty as #private::Part>::write(&self.#member, __f)?;)
            };
            quote!(#separator #write)
        });
        Some(quote! {
            impl #private::Display for #name {
                fn fmt(&self, __f: &mut #private::Formatter<'_>) -> #private::FmtResult {
                    #(#writes)*
                    #private::FmtResult::Ok(())
                }
            }
        })
    }

    /// `FromStr`, if the parts have it.
    fn parsing(&self) -> Option<TokenStream> {
        let Self { name, private, .. } = self;
        let shown = name.unraw().to_string();
        let count = self.parts.len();
        let reads = self.parts.iter().map(|part| {
            let (member, name) = (&part.member, &part.field.name);
            quote!(#member: __parts.next(#name)?)
        });
        let where_clause = self.if_all(&quote!(FromStr));
        Some(quote! {
            impl #private::FromStr for #name #where_clause {
                type Err = #private::ParseKeyError;

                #[inline]
                fn from_str(__text: &#private::str) -> #private::Result<Self, #private::ParseKeyError> {
                    let mut __parts = #private::KeyParts::split(#shown, __text, #count)?;
                    #private::Result::Ok(Self { #(#reads,)* })
                }
            }
        })
    }

    /// A key of one part implements `From` for that part.
    fn of_one_part(&self) -> Option<TokenStream> {
        let Self { name, private, .. } = self;
        let [PartField { ty, .. }] = self.parts else {
            return None;
        };
        Some(quote! {
            impl #private::From<#ty> for #name {
                fn from(__part: #ty) -> Self {
                    Self::new(__part)
                }
            }
        })
    }

    /// The derives, if all parts are plain.
    ///
    /// One trait has all requirements on a part, so that a missing one is reported only once.
    fn without_derives(&self) -> Option<TokenStream> {
        if self.is_plain() {
            return None;
        }
        let Self {
            target,
            name,
            private,
            ..
        } = self;
        let lints = &target.lints;
        let part = |part: &PartField<'_>| {
            let ty = &part.ty;
            quote!(<#ty as #private::Part>)
        };
        let clones = self.parts.iter().map(|key_part| {
            let (part, member) = (part(key_part), &key_part.member);
            quote!(#member: #part::copy(&self.#member))
        });
        let shown = name.unraw().to_string();
        let shows = self.parts.iter().map(|key_part| {
            let (part, member, name) = (part(key_part), &key_part.member, &key_part.field.name);
            if target.is_tuple {
                quote!(__debug.field(#part::debug(&self.#member));)
            } else {
                quote!(__debug.field(#name, #part::debug(&self.#member));)
            }
        });
        let debug = if target.is_tuple {
            quote!(debug_tuple)
        } else {
            quote!(debug_struct)
        };
        let equals = self.parts.iter().map(|key_part| {
            let (part, member) = (part(key_part), &key_part.member);
            quote!(#part::equals(&self.#member, &__other.#member))
        });
        let hashes = self.parts.iter().map(|key_part| {
            let (part, member) = (part(key_part), &key_part.member);
            quote!(#part::feed(&self.#member, __state);)
        });
        let where_ord = self.if_all(&quote!(Ord));
        let mut compares = self.parts.iter().map(|key_part| {
            let member = &key_part.member;
            quote!(#private::Ord::cmp(&self.#member, &__other.#member))
        });
        let first = compares.next();
        Some(quote! {
            impl #private::Clone for #name {
                fn clone(&self) -> Self {
                    Self { #(#clones),* }
                }
            }

            #lints
            #[automatically_derived]
            impl #private::Debug for #name {
                fn fmt(&self, __f: &mut #private::Formatter<'_>) -> #private::FmtResult {
                    let mut __debug = __f.#debug(#shown);
                    #(#shows)*
                    __debug.finish()
                }
            }

            #lints
            #[automatically_derived]
            impl #private::PartialEq for #name {
                fn eq(&self, __other: &Self) -> #private::bool {
                    #(#equals)&&*
                }
            }

            #lints
            #[automatically_derived]
            impl #private::Eq for #name {}

            #lints
            #[automatically_derived]
            impl #private::Hash for #name {
                fn hash<__H: #private::Hasher>(&self, __state: &mut __H) {
                    #(#hashes)*
                }
            }

            #lints
            #[automatically_derived]
            impl #private::PartialOrd for #name #where_ord {
                #[inline]
                fn partial_cmp(&self, __other: &Self) -> #private::Option<#private::Ordering> {
                    #private::Option::Some(#private::Ord::cmp(self, __other))
                }
            }

            #lints
            #[automatically_derived]
            impl #private::Ord for #name #where_ord {
                #[inline]
                fn cmp(&self, __other: &Self) -> #private::Ordering {
                    #first #(.then_with(|| #compares))*
                }
            }
        })
    }

    /// The bound on all parts that are not plain.
    ///
    /// A bound without a parameter is an error if it does not hold, unless it has a lifetime of its
    /// own. Code that such a bound keeps from being compiled must not be exported: hence `inline`.
    fn if_all(&self, bound: &TokenStream) -> Option<TokenStream> {
        let Self { private, .. } = self;
        let others = self.parts.iter().filter(|part| !part.is_plain);
        let others = others.map(|part| &part.ty);
        (!self.is_plain()).then(|| quote!(where #(for<'__part> #others: #private::#bound,)*))
    }
}
