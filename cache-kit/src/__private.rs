//! What the code of derives and macros uses. Not for any other use: it changes without notice.

mod feeder;
mod part;

pub use core::clone::Clone;
pub use core::cmp::{Eq, Ord, Ordering, PartialEq, PartialOrd};
pub use core::convert::From;
pub use core::fmt::{Debug, Display, Formatter, Result as FmtResult};
pub use core::hash::{Hash, Hasher};
pub use core::marker::{Send, Sync};
pub use core::option::Option;
pub use core::primitive::{bool, f64, str, u64, usize};
pub use core::str::FromStr;
pub use core::time::Duration;
pub use std::string::String;
pub use std::sync::Arc;
pub use std::vec::Vec;

pub use crate::entity::{CacheEntity, Storable};
pub use crate::error::Result;
pub use crate::error::sql_code::code_may_pass;
pub use crate::feed::{CacheFeed, CacheFeedMany};
pub use crate::key::ParseKeyError;
pub use crate::key::typed::{KeyParts, write_part, write_separator};
pub use crate::schema::{CacheSchema, Probe, Schema};

pub use feeder::{
    Different, EntitiesField, EntityField, Hook, Key, KeyField, KeyPart, KeyValue, Same,
    debug_feeder, to_keys, to_keys_behind,
};

pub use part::{Part, TemplateField, check_template, push_part};

/// Gives a type where the derives could not determine one.
///
/// `N` is an error that the compiler has already reported, so it reports nothing about the type.
pub trait Unknown {
    /// The type.
    type Type;
}

impl<const N: usize> Unknown for [(); N] {
    type Type = ();
}
