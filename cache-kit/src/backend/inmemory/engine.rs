//! The seam between the backend and the map that keeps its entries.
//!
//! An engine bounds what it keeps and chooses what to evict; it does not decide about expiry. It
//! hands out the entries that leave it, so that they are dropped when no lock is held: the `Drop`
//! of an entity is user code.

use std::hash::Hash;

use quick_cache::Equivalent;

use super::key::MapKey;
use super::quick::QuickMap;
use super::slot::Slot;

#[cfg(feature = "moka")]
use super::moka::MokaMap;

/// Which map keeps the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Engine {
    /// quick_cache (an S3-FIFO with a clock): the cheapest hits. The default.
    #[default]
    QuickCache,
    /// moka (W-TinyLFU): can also drop entries that have been idle for some time.
    #[cfg(feature = "moka")]
    Moka,
}

/// An entry that has left the map.
pub(super) struct Gone {
    pub(super) key: MapKey,
    pub(super) slot: Slot,
    /// Whether the engine chose to drop it, to make room or for being idle.
    pub(super) evicted: Option<EvictionCause>,
}

/// Why an engine dropped an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EvictionCause {
    /// To make room.
    Capacity,
    /// It had not been looked up during the time to idle.
    Idle,
}

pub(super) enum Map {
    Quick(QuickMap),
    #[cfg(feature = "moka")]
    Moka(MokaMap),
}

macro_rules! forward {
    ($map:expr, $engine:ident => $call:expr) => {
        match $map {
            Map::Quick($engine) => $call,
            #[cfg(feature = "moka")]
            Map::Moka($engine) => $call,
        }
    };
}

impl Map {
    /// Looks up, and counts as a use of the entry.
    #[inline]
    pub(super) fn get<Q: Hash + Equivalent<MapKey>>(&self, key: &Q) -> Option<Slot> {
        forward!(self, engine => engine.get(key))
    }

    /// Looks up without a trace: neither a hit nor a miss moves the engine's frequencies.
    pub(super) fn peek(&self, key: &MapKey) -> Option<Slot> {
        forward!(self, engine => engine.peek(key))
    }

    /// Puts an entry in, and says whether it is kept. Entries that leave the map because of it,
    /// which may include the new one, are handed out or wait for [`Map::collect`]; nothing is
    /// dropped here.
    pub(super) fn insert(&self, key: MapKey, slot: Slot, gone: &mut Vec<Gone>) -> bool {
        forward!(self, engine => engine.insert(key, slot, gone))
    }

    pub(super) fn remove(&self, key: &MapKey, gone: &mut Vec<Gone>) {
        forward!(self, engine => engine.remove(key, gone));
    }

    /// The keys that are `wanted`. One that is there all the time is among them.
    pub(super) fn keys(&self, wanted: impl Fn(&MapKey) -> bool) -> Vec<MapKey> {
        forward!(self, engine => engine.keys(wanted))
    }

    /// Takes the entries that left the map during its own housekeeping.
    pub(super) fn collect(&self) -> Vec<Gone> {
        forward!(self, engine => engine.collect())
    }

    pub(super) fn len(&self) -> usize {
        forward!(self, engine => engine.len())
    }

    /// How many entries there are, as far as that is known without housekeeping.
    pub(super) fn about(&self) -> usize {
        match self {
            Self::Quick(engine) => engine.len(),
            #[cfg(feature = "moka")]
            Self::Moka(engine) => engine.about(),
        }
    }

    /// The largest weight that one entry may have.
    pub(super) fn heaviest(&self) -> u64 {
        forward!(self, engine => engine.heaviest())
    }
}
