//! The table of a type, from the attributes of other crates.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{LitStr, Meta};

use super::serde::items;
use crate::ast::Struct;

/// The name of a table, and its span.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Errors;

    fn table(attributes: &str) -> Option<String> {
        let input = syn::parse_str(&format!("{attributes} struct Model {{ id: u8 }}")).ok()?;
        let target = Struct::new(&input, "CacheEntity", &mut Errors::default())?;
        of(&target).map(|table| table.name)
    }

    #[test]
    fn a_table_is_known_by_what_other_crates_are_told() {
        for (attributes, expected) in [
            ("", None),
            ("#[sea_orm(table_name = \"cake\")]", Some("cake")),
            (
                "#[sea_orm(rename_all = \"camelCase\", table_name = \"cake\")]",
                Some("cake"),
            ),
            (
                "#[sea_orm(schema_name = \"shop\")] #[sea_orm(table_name = \"cake\")]",
                Some("shop.cake"),
            ),
            ("#[sea_orm(schema_name = \"shop\")]", None),
            ("#[sea_orm(table_name = r\"cake\")]", Some("cake")),
            ("#[diesel(table_name = cakes)]", Some("cakes")),
            (
                "#[diesel(check_for_backend(Pg), table_name = crate::schema::cakes)]",
                Some("cakes"),
            ),
            ("#[diesel(table_name = schema::r#type)]", Some("type")),
            ("#[diesel(primary_key(id))]", None),
            ("#[serde(table_name = \"cake\")]", None),
            ("#[sea_orm(table_name)]", None),
        ] {
            assert_eq!(table(attributes).as_deref(), expected, "{attributes}");
        }
    }
}
