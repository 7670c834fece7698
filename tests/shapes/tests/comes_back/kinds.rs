//! Realistic types of services.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use either::Either;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_with::{
    DefaultOnError, DisplayFromStr, DurationSeconds, KeyValueMap, OneOrMany, PickFirst,
    TimestampMilliSeconds, serde_as,
};
use uuid::Uuid;

bitflags::bitflags! {
    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Rights: u8 {
        const READ = 1;
        const WRITE = 2;
    }
}

#[derive(Debug, Clone, Copy, serde_repr::Serialize_repr, serde_repr::Deserialize_repr)]
#[repr(u8)]
pub(crate) enum Level {
    Low = 1,
    High = 200,
}

#[serde_as]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct With {
    #[serde_as(as = "DisplayFromStr")]
    number: u64,
    #[serde_as(as = "DurationSeconds<u64>")]
    length: Duration,
    #[serde_as(as = "TimestampMilliSeconds<i64>")]
    at: chrono::DateTime<chrono::Utc>,
    #[serde_as(as = "Option<DisplayFromStr>")]
    maybe: Option<u32>,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    #[serde(with = "chrono::serde::ts_seconds")]
    seconds: chrono::DateTime<chrono::Utc>,
}

impl With {
    pub(crate) fn sample() -> Self {
        Self {
            number: 1,
            length: Duration::from_secs(3),
            at: chrono::DateTime::UNIX_EPOCH,
            maybe: Some(2),
            bytes: vec![1, 2, 3],
            seconds: chrono::DateTime::UNIX_EPOCH,
        }
    }
}

time::serde::format_description!(day, Date, "[year]-[month]-[day]");

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Timed {
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: time::OffsetDateTime,
    #[serde(with = "day")]
    pub(crate) date: time::Date,
}

/// A price that is kept as text.
#[serde_as]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Priced {
    #[serde_as(as = "DisplayFromStr")]
    pub(crate) price: Decimal,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) id: u8,
    pub(crate) price: Decimal,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) lines: Vec<Cost>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tree {
    name: String,
    branches: Vec<Branch>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Branch {
    Leaf(u8),
    Tree(Box<Tree>),
    Pair {
        left: Box<Branch>,
        right: Box<Branch>,
    },
}

impl Tree {
    pub(crate) fn sample() -> Self {
        let leaf = |name: &str| Self {
            name: name.to_owned(),
            branches: vec![Branch::Leaf(1)],
        };
        Self {
            name: "root".to_owned(),
            branches: vec![
                Branch::Tree(Box::new(leaf("a"))),
                Branch::Pair {
                    left: Box::new(Branch::Leaf(2)),
                    right: Box::new(Branch::Tree(Box::new(leaf("b")))),
                },
            ],
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<Uuid>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Twice {
    #[serde(with = "serde_with::rust::double_option")]
    pub(crate) note: Option<Option<u8>>,
    pub(crate) level: u8,
    pub(crate) tags: Vec<u8>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Perhaps {
    pub(crate) meta: Option<serde_json::Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tagged {
    pub(crate) state: Tag,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(crate) enum Tag {
    Paid { at: u64 },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Guessed {
    pub(crate) state: Guess,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Guess {
    Number(u64),
}

#[serde_as]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct One {
    #[serde_as(as = "OneOrMany<_>")]
    pub(crate) one: Vec<u8>,
}

#[serde_as]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct First {
    #[serde_as(as = "PickFirst<(_, DisplayFromStr)>")]
    pub(crate) first: u8,
}

#[serde_as]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OnError {
    #[serde_as(as = "DefaultOnError")]
    pub(crate) value: u8,
}

#[serde_as]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Flexible {
    #[serde_as(as = "DurationSeconds<u64, serde_with::formats::Flexible>")]
    pub(crate) after: Duration,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Untagged {
    #[serde(with = "either::serde_untagged")]
    pub(crate) either: Either<u8, String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rfc3339 {
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) at: Option<time::OffsetDateTime>,
}

#[serde_as]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeyValues {
    #[serde_as(as = "KeyValueMap<_>")]
    pub(crate) by: Vec<KeyValue>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeyValue {
    #[serde(rename = "$key$")]
    pub(crate) key: String,
    pub(crate) value: u8,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Flat {
    pub(crate) id: u8,
    #[serde(flatten)]
    pub(crate) rest: BTreeMap<String, u8>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Skipping {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<u8>,
    pub(crate) level: u8,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Renumbered {
    pub(crate) state: Skipped,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Skipped {
    #[serde(skip)]
    #[allow(dead_code, reason = "it is skipped")]
    Draft,
    Paid,
    Cancelled,
    #[allow(dead_code, reason = "it only shifts the others")]
    Returned,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Child {
    pub(crate) parent: Weak<u8>,
}

impl Child {
    pub(crate) fn of(parent: &Arc<u8>) -> Self {
        Self {
            parent: Arc::downgrade(parent),
        }
    }
}
