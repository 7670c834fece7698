//! The table that a type stands for, as other crates are told.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{LitStr, Meta};

use super::serde::items;
use crate::ast::Struct;

/// The name of a table, and where it stands.
pub(super) struct Table {
    pub(super) name: String,
    pub(super) at: TokenStream,
}

/// The table of `#[sea_orm(table_name = "orders")]` or `#[diesel(table_name = schema::orders)]`.
pub(super) fn of(target: &Struct<'_>) -> Option<Table> {
    let named = |attribute: &str, word: &str| {
        let lists = target.attrs.iter().filter_map(|attr| match &attr.meta {
            Meta::List(list) if list.path.is_ident(attribute) => Some(list.tokens.clone()),
            _ => None,
        });
        items(lists)
            .into_iter()
            .find(|(name, _)| name.as_ref().is_some_and(|name| name == word))
            .map(|(_, item)| item.into_iter().skip(2).collect::<TokenStream>())
    };
    let at = named("sea_orm", "table_name").or_else(|| named("diesel", "table_name"))?;
    let mut name = last_name(at.clone())?;
    // The same table in two schemas is two tables.
    if let Some(schema) = named("sea_orm", "schema_name").and_then(last_name) {
        name = format!("{schema}.{name}");
    }
    Some(Table { name, at })
}

/// `"orders"`, or the last name of `crate::schema::orders`.
fn last_name(value: TokenStream) -> Option<String> {
    match value.into_iter().last()? {
        TokenTree::Literal(literal) => {
            let text: LitStr = syn::parse2(literal.to_token_stream()).ok()?;
            Some(text.value())
        }
        TokenTree::Ident(name) => Some(name.unraw().to_string()),
        _ => None,
    }
}
