//! `#[cache(…)]` as `CacheSchema` reads it.

use syn::Attribute;

use super::entity::{EntityAttr, EntityMarks};
use super::value::{CratePath, Mark};
use super::words::knows;

attributes! {
    /// The attributes of a type inside an entity.
    SchemaAttr: #[cache(version = 2)] on Type, elsewhere SchemaMarks {
        version:          u32,       "version = 2";
        krate as "crate": CratePath, r#"crate = "my_crate::cache_kit""#;
    }
}

attributes! {
    /// The attributes of its fields.
    SchemaMarks: #[cache(skip_ok)] on Field, elsewhere SchemaAttr {
        skip_ok: Mark, "skip_ok";
    }
}

attributes! {
    /// The attributes of its variants: none.
    VariantMarks: #[cache(key)] on Field, elsewhere SchemaAttr {}
}

/// Whether there is a word that only an entity has. An entity implements `CacheSchema` already.
pub(crate) fn is_of_entity(attrs: &[Attribute]) -> bool {
    attrs
        .iter()
        .filter(|attr| attr.path().is_ident("cache"))
        .filter_map(|attr| attr.meta.require_list().ok())
        .flat_map(|list| list.tokens.clone())
        .any(|token| is_for_entity(&token.to_string()))
}

/// Whether only an entity has this word.
pub(super) fn is_for_entity(word: &str) -> bool {
    let of_entity = [EntityAttr::WORDS, EntityMarks::WORDS];
    let of_schema = [SchemaAttr::WORDS, SchemaMarks::WORDS];
    of_entity.iter().any(|words| knows(words, word))
        && !of_schema.iter().any(|words| knows(words, word))
}
