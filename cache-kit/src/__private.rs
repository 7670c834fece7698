//! What the derives write code against. Not for anybody else: it changes without notice.

mod feeder;

pub use core::clone::Clone;
pub use core::cmp::{Eq, Ord, Ordering, PartialEq, PartialOrd};
pub use core::fmt::{Debug, Display, Formatter, Result as FmtResult};
pub use core::hash::Hash;
pub use core::marker::{Send, Sync};
pub use core::option::Option;
pub use core::primitive::{str, u64, usize};
pub use core::str::FromStr;
pub use core::time::Duration;
pub use std::string::String;
pub use std::sync::Arc;
pub use std::vec::Vec;

pub use crate::entity::{CacheEntity, Storable};
pub use crate::error::Result;
pub use crate::feed::{CacheFeed, CacheFeedMany};
pub use crate::key::ParseKeyError;
pub use crate::key::typed::{KeyParts, write_part, write_separator};
pub use crate::schema::{CacheSchema, Probe, Schema};

pub use feeder::{
    Different, EntitiesField, EntityField, Key, KeyField, KeyPart, KeyValue, Same, debug_feeder,
    to_keys, to_keys_behind,
};

/// Writes a field into a template key.
///
/// Through `to_string`, which doesn't let a `Display` that fails cut the key short.
pub fn push_part<T: Display>(key: &mut String, part: &T) {
    key.push_str(&part.to_string());
}
