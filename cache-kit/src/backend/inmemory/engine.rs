//! The seam between the backend and the map that keeps its entries.
//!
//! An engine bounds what it keeps and chooses what to evict; it does not decide about expiry. It
//! hands out the entries that leave it, so that they are dropped when no lock is held: the `Drop`
//! of an entity is user code.

use std::any::Any;
use std::hash::Hash;
use std::sync::Arc;

use quick_cache::Equivalent;

use super::key::MapKey;
use super::quick::QuickMap;
use crate::backend::Fence;
use crate::clock::Timestamp;
use crate::unwind::caught;

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

/// An entry as the map keeps it: type-erased, with its stamps beside it.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) value: Value,
    pub(super) fence: Fence,
    pub(super) created: Timestamp,
    pub(super) stale_from: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) load_millis: u32,
    /// What the entry counts against the capacity; at least 1.
    pub(super) weight: u32,
}

/// An entity, or a known absence. The `Drop` of an entity is user code. A panic in it is caught
/// here, so that the call that happens to drop an entry goes on, and so does the drop of a whole
/// map.
#[derive(Clone)]
pub(super) struct Value(pub(super) Option<Arc<dyn Any + Send + Sync>>);

impl Drop for Value {
    #[inline]
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            // Reported by the panic hook.
            let _ = caught(|| drop(value));
        }
    }
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

    pub(super) fn keys(&self) -> Vec<MapKey> {
        forward!(self, engine => engine.keys())
    }

    /// Takes the entries that left the map during its own housekeeping.
    pub(super) fn collect(&self) -> Vec<Gone> {
        forward!(self, engine => engine.collect())
    }

    pub(super) fn len(&self) -> usize {
        forward!(self, engine => engine.len())
    }

    /// The largest weight that one entry may have.
    pub(super) fn heaviest(&self) -> u64 {
        forward!(self, engine => engine.heaviest())
    }
}
