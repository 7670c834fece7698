//! `#[cache(…)]` as `CacheEntity` reads it.

use syn::parse::ParseStream;
use syn::{Attribute, ExprPath, LitStr, Type};

use super::key::StatedKey;
use super::value::{
    Bytes, CratePath, DurationText, Factor, Head, Mark, Percentage, Predicates, Traits, TypeName,
    Value,
};
use super::words::On;
use crate::diag::Errors;

attributes! {
    /// The attributes of an entity.
    EntityAttr: #[cache(key = "id")] on Type, elsewhere EntityMarks {
        prefix:                 LitStr,       r#"prefix = "user""#;
        prefix_with:            ExprPath,     "prefix_with = T::page_prefix";
        key:                    StatedKey,    r#"key = "id""#;
        key_with:               ExprPath,     "key_with = Self::number";
        key_type:               Type,         "key_type = u64";
        key_name:               TypeName,     r#"key_name = "OrderId""#;
        key_derive:             Traits,       "key_derive(Copy, serde::Serialize)";
        ttl:                    DurationText, r#"ttl = "30s""#;
        jitter:                 Percentage,   r#"jitter = "10%""#;
        stale_if_error:         DurationText, r#"stale_if_error = "5m""#;
        stale_while_revalidate: DurationText, r#"stale_while_revalidate = "30s""#;
        answer_within:          DurationText, r#"answer_within = "50ms""#;
        refresh_ahead:          Factor,       "refresh_ahead = 1.0";
        negative_ttl:           DurationText, r#"negative_ttl = "10s""#;
        max_bytes:              Bytes,        r#"max_bytes = "64 KiB""#;
        version:                u32,          "version = 2";
        validate:               ExprPath,     "validate = Self::check";
        bound:                  Predicates,   r#"bound = "T: PagePrefix""#;
        krate as "crate":       CratePath,    r#"crate = "my_crate::cache_kit""#;
    }
}

attributes! {
    /// The attributes of a field of an entity.
    EntityMarks: #[cache(key)] on Field, elsewhere EntityAttr {
        key:     KeyMark, "key";
        skip_ok: Mark,    "skip_ok";
    }
}

impl EntityMarks {
    /// Parses the attributes of a field of a variant, where `key` is not allowed.
    pub(crate) fn in_variant(attrs: &[Attribute], errors: &mut Errors) -> Self {
        Self::read_at(On::InEnum, attrs, errors)
    }

    /// Parses the attributes of a variant, where nothing is allowed.
    pub(crate) fn of_variant(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::in_variant(attrs, errors);
        if let Some(skip_ok) = std::mem::take(&mut found.skip_ok).into_given() {
            errors.at(skip_ok.name, "`skip_ok` belongs on a field that is skipped");
        }
        found
    }
}

/// `key` on a field.
pub(crate) struct KeyMark;

impl Value for KeyMark {
    fn parse(head: &Head<'_>, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Self> {
        if head.on == On::InEnum {
            errors.at(
                head.name,
                "the variants of an enum share no field: remove this, and add `key_with = path` \
                 and `key_type = Type` to the enum",
            );
        }
        Mark::parse(head, input, errors)?;
        Ok(Self)
    }
}
