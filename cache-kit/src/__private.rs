//! What the derives write code against. Not for anybody else: it changes without notice.

mod feeder;

use std::fmt::Write as _;

pub use core::clone::Clone;
pub use core::cmp::{Eq, PartialEq};
pub use core::fmt::{Debug, Display, Formatter, Result as FmtResult};
pub use core::hash::Hash;
pub use core::marker::{Send, Sync};
pub use core::option::Option;
pub use core::primitive::{str, u64, usize};
pub use core::time::Duration;
pub use std::string::String;
pub use std::sync::Arc;
pub use std::vec::Vec;

pub use serde::Serialize;
pub use serde::de::DeserializeOwned;

pub use crate::entity::CacheEntity;
pub use crate::error::Result;
pub use crate::feed::{CacheFeed, CacheFeedMany};

pub use feeder::{
    Different, EntitiesField, EntityField, KeyField, KeyPart, KeyValue, Same, debug_feeder,
    to_keys, to_keys_behind,
};

/// Writes a field into a template key.
///
/// Through `to_string`, which doesn't let a `Display` that fails cut the key short.
pub fn push_part<T: Display>(key: &mut String, part: &T) {
    key.push_str(&part.to_string());
}

/// Writes a part of a typed key, with `%` and `:` escaped.
pub fn write_part<T: Display>(f: &mut Formatter<'_>, part: &T) -> FmtResult {
    write!(Escaped { inner: f }, "{part}")
}

/// Writes what stands between two parts of a typed key.
pub fn write_separator(f: &mut Formatter<'_>) -> FmtResult {
    f.write_char(':')
}

/// Escapes what would make two lists of parts the same text.
struct Escaped<'a, 'f> {
    inner: &'a mut Formatter<'f>,
}

impl std::fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> FmtResult {
        let mut rest = text;
        while let Some(at) = rest.find(['%', ':']) {
            let (plain, tail) = rest.split_at(at);
            self.inner.write_str(plain)?;
            self.inner
                .write_str(if tail.starts_with('%') { "%25" } else { "%3A" })?;
            rest = &tail[1..];
        }
        self.inner.write_str(rest)
    }
}
