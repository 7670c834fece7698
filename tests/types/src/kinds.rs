//! Types of a service that are not of another crate.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

bitflags::bitflags! {
    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Rights: u8 {
        const READ = 1;
        const WRITE = 2;
    }
}

#[derive(
    Debug, Clone, Copy, PartialEq, serde_repr::Serialize_repr, serde_repr::Deserialize_repr,
)]
#[repr(u8)]
pub(crate) enum Level {
    Low = 1,
    High = 200,
}

/// A struct or enum that is like any other.
macro_rules! kinds {
    ($($item:item)*) => {$(
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        $item
    )*};
}

kinds! {
    pub(crate) struct Unit;

    pub(crate) struct Cents(pub(crate) i64);

    pub(crate) struct Pair(pub(crate) u8, pub(crate) String);

    #[serde(transparent)]
    pub(crate) struct Meters(pub(crate) f64);

    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    pub(crate) struct Renamed {
        #[serde(rename = "ID", alias = "identity")]
        pub(crate) row_id: u64,
        #[serde(default)]
        pub(crate) first_name: String,
    }

    pub(crate) enum External {
        Unit,
        New(u8),
        Pair(u8, String),
        Fields { a: u8, b: Option<String> },
    }

    #[serde(tag = "type")]
    pub(crate) enum Internal {
        Paid { at: u64 },
        Open,
    }

    #[serde(tag = "type", content = "of")]
    pub(crate) enum Adjacent {
        Paid(u64),
        Open,
    }

    #[serde(untagged)]
    pub(crate) enum Guessed {
        Number(u64),
        Text(String),
    }

    pub(crate) enum WithOther {
        Known,
        #[serde(untagged)]
        Other(String),
    }

    pub(crate) struct Flat {
        pub(crate) id: u64,
        #[serde(flatten)]
        pub(crate) rest: BTreeMap<String, Value>,
    }

    pub(crate) struct FlatStruct {
        pub(crate) id: u64,
        #[serde(flatten)]
        pub(crate) page: Pager,
    }

    pub(crate) struct Pager {
        pub(crate) limit: u64,
        pub(crate) offset: u64,
    }

    pub(crate) struct SkippingIf {
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(crate) note: Option<String>,
    }

    pub(crate) struct Skipping {
        pub(crate) email: String,
        #[serde(skip)]
        pub(crate) secret: String,
    }

    pub(crate) struct SkippingSerializing {
        #[serde(skip_serializing)]
        pub(crate) secret: String,
        pub(crate) email: String,
    }

    pub(crate) struct SkippingSerializingWithDefault {
        #[serde(skip_serializing, default)]
        pub(crate) secret: String,
        pub(crate) email: String,
    }

    #[serde(from = "String", into = "String")]
    pub(crate) struct Lower(pub(crate) String);

    pub(crate) struct DecimalAsStr {
        #[serde(with = "rust_decimal::serde::str")]
        pub(crate) value: Decimal,
    }

    pub(crate) struct Rfc3339 {
        #[serde(with = "time::serde::rfc3339")]
        pub(crate) value: OffsetDateTime,
    }

    pub(crate) struct MaybeRfc3339 {
        #[serde(with = "time::serde::rfc3339::option")]
        pub(crate) value: Option<OffsetDateTime>,
    }

    pub(crate) struct MaybeSeconds {
        #[serde(with = "time::serde::timestamp::option")]
        pub(crate) value: Option<OffsetDateTime>,
    }

    pub(crate) struct ChronoSeconds {
        #[serde(with = "chrono::serde::ts_seconds")]
        pub(crate) value: chrono::DateTime<chrono::Utc>,
    }

    pub(crate) struct Bytes {
        #[serde(with = "serde_bytes")]
        pub(crate) value: Vec<u8>,
    }

    pub(crate) struct UntaggedEither {
        #[serde(with = "either::serde_untagged")]
        pub(crate) value: either::Either<u64, String>,
    }

    pub(crate) struct DoubleOption {
        #[serde(default, skip_serializing_if = "Option::is_none", with = "serde_with::rust::double_option")]
        pub(crate) value: Option<Option<u64>>,
    }

    /// A hash map may be empty, and the recursion ends.
    pub(crate) struct Tree {
        pub(crate) name: String,
        pub(crate) children: Vec<Tree>,
    }
}

impl From<String> for Lower {
    fn from(text: String) -> Self {
        Self(text.to_lowercase())
    }
}

impl From<Lower> for String {
    fn from(Lower(text): Lower) -> Self {
        text
    }
}

#[serde_with::serde_as]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SerdeAsText {
    #[serde_as(as = "Option<serde_with::DisplayFromStr>")]
    pub(crate) value: Option<Decimal>,
}

#[serde_with::serde_as]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SerdeAsSeconds {
    #[serde_as(as = "serde_with::DurationSeconds<u64>")]
    pub(crate) value: Duration,
}

#[serde_with::serde_as]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SerdeAsOneOrMany {
    #[serde_as(as = "serde_with::OneOrMany<_>")]
    pub(crate) value: Vec<u64>,
}
