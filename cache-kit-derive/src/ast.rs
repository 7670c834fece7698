//! The user's struct as both derives see it. It keeps the `syn` nodes, and so their spans.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{Attribute, Data, DeriveInput, Fields, Generics, Ident, Index, Member, Type, Visibility};

use crate::diag::{Errors, did_you_mean, quoted_list};

/// A struct with fields, named or numbered.
pub(crate) struct Struct<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) vis: &'a Visibility,
    pub(crate) generics: &'a Generics,
    pub(crate) attrs: &'a [Attribute],
    pub(crate) fields: Vec<Field<'a>>,
    pub(crate) is_tuple: bool,
}

/// A field of a [`Struct`].
pub(crate) struct Field<'a> {
    /// The name without `r#`, or the number.
    pub(crate) name: String,
    pub(crate) member: Member,
    pub(crate) ty: &'a Type,
    pub(crate) attrs: &'a [Attribute],
}

impl<'a> Struct<'a> {
    /// Takes the derive's input, if it is something that `trait_name` can be derived for.
    pub(crate) fn new(
        input: &'a DeriveInput,
        trait_name: &str,
        errors: &mut Errors,
    ) -> Option<Self> {
        let by_hand = format!("implement `{trait_name}` by hand");
        let fields = match &input.data {
            Data::Struct(data) => &data.fields,
            Data::Enum(data) => {
                errors.at(
                    data.enum_token,
                    format!(
                        "an enum has no field that every variant shares: {by_hand}, or put the \
                         enum into a struct"
                    ),
                );
                return None;
            }
            Data::Union(data) => {
                errors.at(
                    data.union_token,
                    format!("a union cannot be read safely: make it a struct, or {by_hand}"),
                );
                return None;
            }
        };
        if fields.is_empty() {
            errors.at(
                &input.ident,
                format!(
                    "`{}` has no field that could be the key: add one, or {by_hand}",
                    input.ident
                ),
            );
            return None;
        }
        Some(Self {
            ident: &input.ident,
            vis: &input.vis,
            generics: &input.generics,
            attrs: &input.attrs,
            fields: fields.iter().enumerate().map(Field::new).collect(),
            is_tuple: matches!(fields, Fields::Unnamed(_)),
        })
    }

    /// The field called `name`; `r#` makes no difference.
    pub(crate) fn field(&self, name: &str) -> Option<usize> {
        let name = name.strip_prefix("r#").unwrap_or(name);
        self.fields.iter().position(|field| field.name == name)
    }

    pub(crate) fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    /// Says that there is no field `name`, and which there are.
    pub(crate) fn no_such_field(&self, name: &str) -> String {
        let all = quoted_list(self.field_names());
        let missing = format!(
            "`{}` has no field `{}`",
            self.ident.unraw(),
            name.escape_debug()
        );
        match did_you_mean(name, self.field_names()) {
            Some(near) => format!("{missing} (it has {all}): did you mean `{near}`?"),
            None => format!("{missing}: it has {all}"),
        }
    }
}

impl<'a> Field<'a> {
    fn new((number, field): (usize, &'a syn::Field)) -> Self {
        let member = match &field.ident {
            Some(ident) => Member::Named(ident.clone()),
            None => Member::Unnamed(Index::from(number)),
        };
        Self {
            name: match &member {
                Member::Named(ident) => ident.unraw().to_string(),
                Member::Unnamed(index) => index.index.to_string(),
            },
            member,
            ty: &field.ty,
            attrs: &field.attrs,
        }
    }
}

/// Where the generated code finds cache-kit.
#[derive(Default)]
pub(crate) struct Crate {
    /// The value of `crate = "…"`.
    pub(crate) path: Option<syn::Path>,
}

impl Crate {
    /// The module that holds everything generated code may name.
    pub(crate) fn private(&self) -> TokenStream {
        match &self.path {
            Some(path) => {
                let path = path.to_token_stream();
                quote!(#path::__private)
            }
            None => quote!(::cache_kit::__private),
        }
    }
}
