//! The codec: the only place that knows the byte format.
//!
//! A store of bytes keeps one of two things under a key. An *envelope* is a stored entry: a
//! fixed-width head and a body. A *placeholder* is a lease, or a write, under the value's own key.
//! Both have their fence at the same place, so that a store only compares heads and never parses a
//! value ([`head`] has the layout).
//!
//! Invariants:
//!
//! - Nothing is used before its checksum is verified. Postcard alone accepts most flipped bits, a
//!   value of another type and a length of 2⁶⁴. So it only gets bytes that are intact: written in
//!   this format, under this key, by a type of this schema.
//! - An unreadable value is a miss, never an error and never a panic: [`Decoded::Damaged`] or
//!   [`Decoded::OtherSchema`].
//! - The full cache key is part of every checksum. An envelope that is found under another key
//!   counts as damaged, however it got there.
//! - A type is identified by what its `Deserialize` asks for, at every depth ([`trace`]). A value
//!   is stored only after it has been decoded again and compared ([`proof`]).
//! - Lengths are exact: a byte too many is damage just like a byte too few.
//! - The checksums detect accidents. They are no signature: any client that may write to the store
//!   decides what it serves.
//!
//! The golden files pin every byte. Changing one of them means a new format version, and the
//! entries of the old one are misses.

mod bounds;
mod envelope;
mod head;
mod payload;
mod placeholder;
mod proof;
mod seal;
mod shapes;
mod size;
mod strict;
#[cfg(test)]
mod tests;
mod trace;

use std::fmt;
use std::marker::PhantomData;

use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::lease::Fence;

pub(crate) use head::{HEAD_LEN, Head, head_of};
pub(crate) use placeholder::{PLACEHOLDER_LEN, Placeholder, PlaceholderKind};
#[cfg(feature = "testing")]
pub(crate) use proof::of_sample;
pub(crate) use shapes::Shapes;
pub(crate) use trace::Shape;

/// The prefixes of every envelope and every placeholder: magic and format version.
pub(crate) const PREFIXES: [[u8; 5]; 2] = [
    head::prefix(head::ENTRY_MAGIC),
    head::prefix(head::PLACEHOLDER_MAGIC),
];

/// What helps for a field that postcard cannot carry.
const AS_JSON: &str = "`#[serde(with = \"cache_kit::serde::json\")]`";

/// Reads and writes the entries of one type, as one store keeps them.
pub(crate) struct Codec<T> {
    schema: u64,
    max_bytes: usize,
    carries_key: bool,
    entity: PhantomData<fn() -> T>,
}

/// What the head of an entry says besides the entry's own stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The id of this store operation: 64 random bits that no other store of the key has.
    pub(crate) fence: Fence,
    /// The generation that the entry belongs to, 0 if its type has none.
    pub(crate) generation: u64,
}

/// The result of encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Encoding {
    /// The buffer holds the envelope.
    Complete,
    /// The envelope would be larger than the store takes. The buffer is empty.
    TooLarge,
}

/// What is under a key.
#[derive(Debug, Clone)]
pub(crate) enum Decoded<T> {
    /// An entry, fresh or not: the caller has the clock.
    Entry {
        /// The entry.
        entry: Entry<T>,
        /// Its fence and generation.
        stamp: Stamp,
    },
    /// The key is being loaded or written.
    Placeholder(Placeholder),
    /// A whole entry of another schema, or one that the type does not accept.
    OtherSchema {
        /// Its fence and generation.
        stamp: Stamp,
    },
    /// Nothing of this format and this key: empty, foreign, damaged, too large, of another format
    /// version, or written under another key. Its head may still be intact: [`head_of`] gives its
    /// fence.
    Damaged,
}

impl<T: CacheEntity> Codec<T> {
    /// For a type of this shape and a store that takes values of up to `max_bytes`, head included.
    pub(crate) fn of(shape: &Shape, max_bytes: usize) -> Self {
        Self {
            schema: shape.fingerprint,
            max_bytes,
            carries_key: false,
            entity: PhantomData,
        }
    }

    /// The same, with a shape that all tests share.
    #[cfg(test)]
    pub(crate) fn new(max_bytes: usize) -> Self {
        static SHAPES: std::sync::LazyLock<Shapes> = std::sync::LazyLock::new(Shapes::default);
        Self::of(SHAPES.of::<T>(), max_bytes)
    }

    /// For a store whose keys are narrower than cache keys: every envelope contains its full key,
    /// which is compared. An envelope without it counts as damaged.
    pub(crate) fn carrying_key(mut self) -> Self {
        self.carries_key = true;
        self
    }

    /// The largest envelope that is written or read.
    pub(crate) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// The fingerprint in the head of every entry of this type.
    pub(crate) fn schema(&self) -> u64 {
        self.schema
    }
}

impl<T> Clone for Codec<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Codec<T> {}

impl<T> fmt::Debug for Codec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec")
            .field("schema", &format_args!("{:016x}", self.schema))
            .field("max_bytes", &self.max_bytes)
            .field("carries_key", &self.carries_key)
            .finish()
    }
}
