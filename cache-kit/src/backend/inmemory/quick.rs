//! The quick_cache engine.

use std::hash::Hash;
use std::num::NonZero;
use std::thread::available_parallelism;

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter};

use super::engine::{EvictionCause, Gone};
use super::key::MapKey;
use super::slot::Slot;

/// Nearly everything is "hot", and there are ghosts for two entries in five. With more ghosts, a
/// loop longer than the cache displaces all of it. With fewer, the cache adapts too slowly when
/// popularity drifts. `cargo bench -p cache-kit --bench ratios` shows it beside moka.
const HOT: f64 = 0.99;
const GHOST: f64 = 0.4;

/// How often to try to insert an entry that the map drops at once. An entry that comes back as a
/// ghost, or grows, may find all others in use, and is dropped instead of them. Its history is gone
/// then, so the next try inserts it as a new entry, which makes room first.
const ENTRANCES: usize = 3;

pub(super) struct QuickMap {
    cache: Cache<MapKey, Slot, BySlot, quick_cache::DefaultHashBuilder, Collect>,
}

/// A shard has room for at least this many entries. Smaller shards would be full by chance while
/// others have room.
const ENTRIES_PER_SHARD: u64 = 128;

/// Shards for each processor; the map's own default.
const SHARDS_PER_THREAD: usize = 4;

/// The number of shards of a map that is bounded by weight. It is fixed, since the heaviest entry
/// that fits must not depend on the number of processors.
const WEIGHED_SHARDS: usize = 32;

/// The assumed weight of an entry in a map that is bounded by weight. It sets the number of ghosts,
/// so a wrong guess costs some hits.
const TYPICAL_WEIGHT: u64 = 512;

impl QuickMap {
    /// A map of at most `capacity` entries.
    pub(super) fn of_entries(capacity: u64) -> Self {
        let threads = available_parallelism().map_or(1, NonZero::get);
        let full = usize::try_from(capacity / ENTRIES_PER_SHARD).unwrap_or(usize::MAX);
        let shards = threads.saturating_mul(SHARDS_PER_THREAD).min(full).max(1);
        Self::new(capacity, capacity, shards)
    }

    /// A map of entries that weigh at most `capacity` together.
    pub(super) fn of_weight(capacity: u64) -> Self {
        let entries = (capacity / TYPICAL_WEIGHT).max(1);
        Self::new(capacity, entries, WEIGHED_SHARDS)
    }

    /// A map of at most `capacity` units of weight, for about `entries` entries, in at most
    /// `shards` shards.
    fn new(capacity: u64, entries: u64, shards: usize) -> Self {
        let entries = usize::try_from(entries).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .shards(shards)
            .weight_capacity(capacity)
            .estimated_items_capacity(entries)
            .hot_allocation(HOT)
            .ghost_allocation(GHOST)
            .build();
        let hasher = Default::default();
        Self {
            cache: match options {
                Ok(options) => Cache::with_options(options, BySlot, hasher, Collect),
                // The builder fails only if an option is missing, and all are set.
                Err(_) => Cache::with(entries, capacity, BySlot, hasher, Collect),
            },
        }
    }

    #[inline]
    pub(super) fn get<Q: Hash + Equivalent<MapKey>>(&self, key: &Q) -> Option<Slot> {
        self.cache.get(key)
    }

    pub(super) fn peek(&self, key: &MapKey) -> Option<Slot> {
        self.cache.peek(key)
    }

    pub(super) fn insert(&self, key: MapKey, slot: Slot, gone: &mut Vec<Gone>) -> bool {
        let (entered, fence) = (key.clone(), slot.fence);
        let mut outside = Some((key, slot));
        for _ in 0..ENTRANCES {
            let Some((key, slot)) = outside.take() else {
                return true;
            };
            let mut left = Vec::new();
            self.cache.insert_with_lifecycle(key, slot, &mut left);
            for (key, slot) in left {
                if slot.fence == fence {
                    outside = Some((key, slot));
                    continue;
                }
                let evicted = (key != entered).then_some(EvictionCause::Capacity);
                gone.push(Gone { key, slot, evicted });
            }
        }
        let kept = outside.is_none();
        gone.extend(outside.map(|(key, slot)| Gone {
            key,
            slot,
            evicted: None,
        }));
        kept
    }

    pub(super) fn remove(&self, key: &MapKey, gone: &mut Vec<Gone>) {
        gone.extend(self.cache.remove(key).map(|(key, slot)| Gone {
            key,
            slot,
            evicted: None,
        }));
    }

    pub(super) fn keys(&self, wanted: impl Fn(&MapKey) -> bool) -> Vec<MapKey> {
        let keys = self.cache.iter().map(|(key, _)| key);
        keys.filter(wanted).collect()
    }

    pub(super) fn collect(&self) -> Vec<Gone> {
        Vec::new()
    }

    pub(super) fn len(&self) -> usize {
        self.cache.len()
    }

    /// How much of one shard may be hot.
    pub(super) fn heaviest(&self) -> u64 {
        let shard = self.cache.shard_capacity();
        ((shard as f64 * HOT) as u64).clamp(shard.min(1), shard)
    }
}

#[derive(Clone)]
struct BySlot;

impl Weighter<MapKey, Slot> for BySlot {
    fn weight(&self, _key: &MapKey, slot: &Slot) -> u64 {
        slot.weight().into()
    }
}

/// Collects what an insertion evicts, so that it is dropped when no lock is held.
#[derive(Clone)]
struct Collect;

impl Lifecycle<MapKey, Slot> for Collect {
    type RequestState = Vec<(MapKey, Slot)>;

    fn on_evict(&self, left: &mut Self::RequestState, key: MapKey, slot: Slot) {
        left.push((key, slot));
    }
}
