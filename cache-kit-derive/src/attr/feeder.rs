//! `#[feeder(…)]`

use syn::parse::ParseStream;
use syn::{ExprPath, LitStr, Token, Type};

use super::key::StatedKey;
use super::reader::skip_word;
use super::value::{CratePath, Head, Value};
use crate::diag::Errors;

attributes! {
    /// The attributes of a request, or of a feeder.
    FeederAttr: #[feeder(entity = User)] on Type, elsewhere FeederMarks {
        entity:           Type,      "entity = User";
        key:              StatedKey, r#"key = "user_id""#;
        name:             LitStr,    r#"name = "UserFeeder""#;
        validate:         ExprPath,  "validate = Self::check";
        on_hit:           ExprPath,  "on_hit = Self::check";
        on_miss:          ExprPath,  "on_miss = Self::check";
        on_loaded:        ExprPath,  "on_loaded = Self::check";
        krate as "crate": CratePath, r#"crate = "my_crate::cache_kit""#;
    }
}

attributes! {
    /// The attributes of a field of a feeder.
    FeederMarks: #[feeder(key)] on Field, elsewhere FeederAttr {
        key:    PartMark,   r#"key = "order_id""#;
        entity: EntityMark, "entity";
    }
}

/// `key` on a field, and the part of the key in `key = "order_id"`.
pub(crate) struct PartMark {
    pub(crate) part: Option<LitStr>,
}

impl Value for PartMark {
    fn parse(head: &Head<'_>, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Self> {
        if !input.peek(Token![=]) {
            head.alone(
                input,
                "on a field write `key` alone, or `key = \"order_id\"` with the name of a part of \
                 the key",
                errors,
            )?;
            return Ok(Self { part: None });
        }
        // The field is the key even if the value is wrong.
        let part = head.text(input).map_err(|error| {
            errors.push(error);
            skip_word(input);
        });
        Ok(Self { part: part.ok() })
    }
}

/// `entity` on a field.
pub(crate) struct EntityMark;

impl Value for EntityMark {
    fn parse(head: &Head<'_>, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Self> {
        head.alone(
            input,
            "on a field `entity` takes no value: write `entity` alone, and the type on the struct",
            errors,
        )?;
        Ok(Self)
    }
}
