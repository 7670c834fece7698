//! The entities that the suite stores.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::entity::CacheEntity;

/// What the suite stores. It contains its own key, so that an answer to another question is
/// recognized.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Specimen {
    /// The cache key that it was put under.
    pub key: String,
    /// Grows with every update of its row.
    pub version: u64,
    /// As long as a behaviour needs it.
    pub payload: String,
}

/// Has the prefix and the fields of [`Specimen`] and is another type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rival {
    /// The cache key that it was put under.
    pub key: String,
    /// Grows with every update of its row.
    pub version: u64,
    /// As long as a behaviour needs it.
    pub payload: String,
}

/// One type in several schemas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Revised<const SCHEMA: u64> {
    pub(super) key: String,
    pub(super) version: u64,
}

/// Has a version that serde refuses to write: 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unwritable {
    pub(super) key: String,
    #[serde(serialize_with = "refuse_zero")]
    pub(super) version: u64,
}

/// [`Unreadable`] as an older build has it: it reads the same, and accepts every version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Unreadable")]
pub(super) struct Lenient {
    pub(super) key: String,
    pub(super) version: u64,
}

/// Is read only if its version is not 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unreadable {
    pub(super) key: String,
    #[serde(deserialize_with = "reject_zero")]
    pub(super) version: u64,
}

fn refuse_zero<S: Serializer>(version: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    match version {
        0 => Err(serde::ser::Error::custom("version 0 is not to be written")),
        _ => serializer.serialize_u64(*version),
    }
}

fn reject_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match u64::deserialize(deserializer)? {
        0 => Err(serde::de::Error::custom("version 0 is not to be read")),
        version => Ok(version),
    }
}

/// The prefix of all specimens.
pub(super) const PREFIX: &str = "conformance";

macro_rules! entities {
    ($($entity:ty)*) => {$(
        // Keeps these types out of the compiler's suggestions for a missing `CacheEntity`.
        #[diagnostic::do_not_recommend]
        impl CacheEntity for $entity {
            type Key = String;

            fn cache_key(&self) -> String {
                self.key.clone()
            }

            fn cache_prefix() -> &'static str {
                PREFIX
            }
        }
    )*};
}

entities! { Specimen Rival Unwritable Lenient Unreadable }

#[diagnostic::do_not_recommend]
impl<const SCHEMA: u64> CacheEntity for Revised<SCHEMA> {
    type Key = String;

    fn cache_key(&self) -> String {
        self.key.clone()
    }

    fn cache_prefix() -> &'static str {
        PREFIX
    }

    fn cache_schema() -> u64 {
        SCHEMA
    }
}

/// What `key` holds in `version`.
pub(super) fn specimen(key: &str, version: u64) -> Specimen {
    Specimen {
        key: key.to_owned(),
        version,
        payload: String::new(),
    }
}

/// A [`specimen`] with a payload of `bytes`.
pub(super) fn heavy(key: &str, version: u64, bytes: usize) -> Specimen {
    Specimen {
        payload: "x".repeat(bytes),
        ..specimen(key, version)
    }
}
