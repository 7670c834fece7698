//! The user's type as the derives see it. It keeps the `syn` nodes, and with them their spans.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt;
use syn::{
    Attribute, Data, DeriveInput, Expr, Fields, GenericParam, Generics, Ident, Index, Member, Type,
    Visibility,
};

use crate::diag::{Errors, did_you_mean, quoted_list};
use crate::lints;

/// A struct with fields, named or numbered.
pub(crate) struct Struct<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) vis: &'a Visibility,
    pub(crate) generics: &'a Generics,
    pub(crate) attrs: &'a [Attribute],
    pub(crate) fields: Vec<Field<'a>>,
    pub(crate) is_tuple: bool,
    /// Whether references to fields are not allowed.
    pub(crate) is_packed: bool,
    /// The attributes of every item that is generated for it.
    pub(crate) lints: TokenStream,
}

/// A struct or an enum.
pub(crate) enum Shape<'a> {
    Struct(Struct<'a>),
    /// As a struct without fields, and its variants.
    Enum(Struct<'a>, Vec<Variant<'a>>),
}

/// A variant of an enum.
pub(crate) struct Variant<'a> {
    /// The name without `r#`.
    pub(crate) name: String,
    pub(crate) attrs: &'a [Attribute],
    pub(crate) fields: Vec<Field<'a>>,
    /// The expression after its `=`.
    pub(crate) discriminant: Option<&'a Expr>,
}

/// A field of a [`Struct`] or a [`Variant`].
pub(crate) struct Field<'a> {
    /// The name without `r#`, or the number.
    pub(crate) name: String,
    pub(crate) member: Member,
    pub(crate) ty: &'a Type,
    pub(crate) attrs: &'a [Attribute],
}

impl<'a> Struct<'a> {
    /// Parses the derive's input, if `trait_name` can be derived for it.
    pub(crate) fn new(
        input: &'a DeriveInput,
        trait_name: &str,
        errors: &mut Errors,
    ) -> Option<Self> {
        let by_hand = format!("implement `{trait_name}` by hand");
        match Shape::new(input, trait_name, errors)? {
            Shape::Struct(target) if target.fields.is_empty() => {
                errors.at(
                    &input.ident,
                    format!(
                        "`{}` has no field that could be the key: add one, or {by_hand}",
                        input.ident
                    ),
                );
                None
            }
            Shape::Struct(target) => Some(target),
            Shape::Enum(..) => {
                if let Data::Enum(data) = &input.data {
                    errors.at(
                        data.enum_token,
                        format!(
                            "an enum has no field that every variant shares: {by_hand}, or put \
                             the enum into a struct"
                        ),
                    );
                }
                None
            }
        }
    }

    fn of_fields(input: &'a DeriveInput, fields: Vec<Field<'a>>, is_tuple: bool) -> Self {
        Self {
            ident: &input.ident,
            vis: &input.vis,
            generics: &input.generics,
            attrs: &input.attrs,
            fields,
            is_tuple,
            is_packed: is_packed(&input.attrs),
            lints: lints::taken_over(input),
        }
    }

    /// The type with its generic arguments, as it is named where it is used.
    pub(crate) fn ty(&self) -> TokenStream {
        let ident = self.ident;
        let ty_generics = self.generics.split_for_impl().1;
        quote!(#ident #ty_generics)
    }

    /// The names of the type and const parameters.
    pub(crate) fn params(&self) -> Vec<Ident> {
        let params = self.generics.params.iter();
        let names = params.filter_map(|param| match param {
            GenericParam::Type(param) => Some(param.ident.clone()),
            GenericParam::Const(param) => Some(param.ident.clone()),
            GenericParam::Lifetime(_) => None,
        });
        names.collect()
    }

    /// The field `name`, with or without `r#`.
    pub(crate) fn field(&self, name: &str) -> Option<usize> {
        let name = name.strip_prefix("r#").unwrap_or(name);
        self.fields.iter().position(|field| field.name == name)
    }

    pub(crate) fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    /// The message that there is no field `name`, with the existing fields.
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

impl<'a> Shape<'a> {
    /// Parses the derive's input, unless it is a union.
    pub(crate) fn new(
        input: &'a DeriveInput,
        trait_name: &str,
        errors: &mut Errors,
    ) -> Option<Self> {
        match &input.data {
            Data::Struct(data) => {
                let is_tuple = matches!(data.fields, Fields::Unnamed(_));
                let fields = Field::all(&data.fields);
                Some(Self::Struct(Struct::of_fields(input, fields, is_tuple)))
            }
            Data::Enum(data) => {
                let variants = data.variants.iter().map(|variant| Variant {
                    name: variant.ident.unraw().to_string(),
                    attrs: &variant.attrs,
                    fields: Field::all(&variant.fields),
                    discriminant: variant.discriminant.as_ref().map(|(_, number)| number),
                });
                let target = Struct::of_fields(input, Vec::new(), false);
                Some(Self::Enum(target, variants.collect()))
            }
            Data::Union(data) => {
                errors.at(
                    data.union_token,
                    format!(
                        "a union cannot be read safely: make it a struct, or implement \
                         `{trait_name}` by hand"
                    ),
                );
                None
            }
        }
    }

    /// The struct, or a struct that represents the enum.
    pub(crate) fn target(&self) -> &Struct<'a> {
        match self {
            Self::Struct(target) | Self::Enum(target, _) => target,
        }
    }

    /// The variants, if it is an enum.
    pub(crate) fn variants(&self) -> Option<&[Variant<'a>]> {
        match self {
            Self::Struct(_) => None,
            Self::Enum(_, variants) => Some(variants),
        }
    }

    /// All fields, including those of variants.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &Field<'a>> {
        let variants = self.variants().unwrap_or_default();
        let in_variants = variants.iter().flat_map(|variant| &variant.fields);
        self.target().fields.iter().chain(in_variants)
    }
}

impl<'a> Field<'a> {
    fn all(fields: &'a Fields) -> Vec<Self> {
        fields.iter().enumerate().map(Self::new).collect()
    }

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

/// A name at a generated position. There the keywords of the newest edition count, whatever the
/// user's edition.
pub(crate) fn usable(name: &str, at: Span) -> Ident {
    if name == "gen" {
        Ident::new_raw(name, at)
    } else {
        syn::parse_str::<Ident>(name).map_or_else(
            |_| Ident::new_raw(name, at),
            |mut ident| {
                ident.set_span(at);
                ident
            },
        )
    }
}

/// Whether there is a `#[repr(packed)]`.
fn is_packed(attrs: &[Attribute]) -> bool {
    let reprs = attrs.iter().filter(|attr| attr.path().is_ident("repr"));
    let lists = reprs.filter_map(|attr| attr.meta.require_list().ok());
    let mut tokens = lists.flat_map(|list| list.tokens.clone());
    tokens.any(|token| matches!(token, TokenTree::Ident(word) if word == "packed"))
}
