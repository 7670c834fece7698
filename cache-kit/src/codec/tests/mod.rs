//! Tests of the stored bytes.

mod bounds;
mod damage;
mod golden;
#[cfg(feature = "json")]
mod kept;
mod roundtrip;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::head::EntryHead;
use super::head::HeadBytes;
use super::{Codec, Encoding, HEAD_LEN, Placeholder, PlaceholderKind, Stamp};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::lease::Fence;

pub(super) const MAX_BYTES: usize = 8 << 20;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) notes: Vec<String>,
}

impl User {
    pub(super) fn sample() -> Self {
        Self {
            id: 42,
            name: "Ada".to_owned(),
            notes: vec!["first".to_owned()],
        }
    }
}

/// Has the prefix, the schema number and the bytes of a [`User`], but is another type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Product {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) notes: Vec<String>,
}

macro_rules! user_keyed {
    ($($entity:ident)*) => {$(
        impl CacheEntity for $entity {
            type Key = u64;

            fn cache_key(&self) -> u64 {
                self.id
            }

            fn cache_prefix() -> &'static str {
                "user"
            }
        }
    )*};
}

user_keyed! { User Product }

pub(super) fn entry<T>(value: T) -> Entry<T> {
    Entry {
        value: Some(Arc::new(value)),
        created: Timestamp::from_millis(1_700_000_000_000),
        stale_from: Timestamp::from_millis(1_700_000_060_000),
        expires: Timestamp::from_millis(1_700_003_600_000),
        load_millis: 25,
        pinned: false,
    }
}

pub(super) fn stamp() -> Stamp {
    Stamp {
        fence: Fence(0x1122_3344_5566_7788),
        generation: 0,
    }
}

pub(super) fn lease() -> Placeholder {
    Placeholder {
        kind: PlaceholderKind::Lease,
        fence: Fence(0x1122_3344_5566_7788),
        taken: Timestamp::from_millis(1_700_000_000_000),
    }
}

pub(super) fn write() -> Placeholder {
    Placeholder {
        kind: PlaceholderKind::Write,
        ..lease()
    }
}

/// The envelope of `entry` under `key`.
pub(super) fn envelope<T: CacheEntity>(codec: Codec<T>, key: &str, entry: &Entry<T>) -> Vec<u8> {
    let mut buffer = Vec::new();
    let encoding = codec
        .encode_into(&mut buffer, key, stamp(), entry)
        .expect("an entity that postcard can carry");
    assert_eq!(encoding, Encoding::Complete);
    buffer
}

/// `bytes`, an envelope under `from`, with checksums that are valid under `to`.
pub(super) fn seal_anew(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let (head, body) = bytes.split_at(HEAD_LEN);
    let head: &HeadBytes = head.try_into().expect("a whole head");
    let head = EntryHead::read(from, head).expect("a valid head");
    [&head.write(to, body)[..], body].concat()
}
