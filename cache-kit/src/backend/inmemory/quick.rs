//! The quick_cache engine.

use quick_cache::sync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

use super::engine::{BorrowedKey, EvictionCause, Gone, Slot};
use crate::backend::Fence;
use crate::shards::TypedKey;

/// With nearly everything "hot" and a ghost for every entry, the hit ratio on skewed and on
/// scanning loads comes close to W-TinyLFU's.
const HOT: f64 = 0.99;
const GHOST: f64 = 1.0;

pub(super) struct QuickMap {
    cache: Cache<TypedKey, Slot, BySlot, quick_cache::DefaultHashBuilder, Collect>,
}

impl QuickMap {
    /// A map of at most `capacity` units of weight, for about `entries` entries.
    pub(super) fn new(capacity: u64, entries: u64) -> Self {
        let entries = usize::try_from(entries).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .weight_capacity(capacity)
            .estimated_items_capacity(entries)
            .hot_allocation(HOT)
            .ghost_allocation(GHOST)
            .build();
        let hasher = Default::default();
        Self {
            cache: match options {
                Ok(options) => Cache::with_options(options, BySlot, hasher, Collect),
                // Only missing options are refused, and none is.
                Err(_) => Cache::with(entries, capacity, BySlot, hasher, Collect),
            },
        }
    }

    #[inline]
    pub(super) fn get(&self, key: &BorrowedKey<'_>) -> Option<Slot> {
        self.cache.get(key)
    }

    pub(super) fn peek(&self, key: &BorrowedKey<'_>) -> Option<Slot> {
        self.cache.peek(key)
    }

    pub(super) fn insert(&self, key: TypedKey, slot: Slot, gone: &mut Vec<Gone>) {
        let inserted = Inserted {
            key: key.clone(),
            fence: slot.fence,
        };
        let mut left = Vec::new();
        self.cache.insert_with_lifecycle(key, slot, &mut left);
        gone.extend(left.into_iter().map(|(key, slot)| inserted.sort(key, slot)));
    }

    pub(super) fn remove(&self, key: &TypedKey, gone: &mut Vec<Gone>) {
        gone.extend(self.cache.remove(key).map(|(key, slot)| Gone {
            key,
            slot,
            evicted: None,
        }));
    }

    pub(super) fn clear(&self, gone: &mut Vec<Gone>) {
        // Not `Cache::clear`, which drops the values under its locks.
        for (key, _) in self.cache.iter() {
            self.remove(&key, gone);
        }
    }

    pub(super) fn collect(&self) -> Vec<Gone> {
        Vec::new()
    }

    pub(super) fn len(&self) -> usize {
        self.cache.len()
    }

    pub(super) fn heaviest(&self) -> u64 {
        self.cache.shard_capacity()
    }
}

/// Tells an entry that was evicted from the one that an insertion replaced.
struct Inserted {
    key: TypedKey,
    fence: Fence,
}

impl Inserted {
    fn sort(&self, key: TypedKey, slot: Slot) -> Gone {
        let replaced = key == self.key && slot.fence != self.fence;
        Gone {
            key,
            slot,
            evicted: (!replaced).then_some(EvictionCause::Capacity),
        }
    }
}

#[derive(Clone)]
struct BySlot;

impl Weighter<TypedKey, Slot> for BySlot {
    fn weight(&self, _key: &TypedKey, slot: &Slot) -> u64 {
        slot.weight.into()
    }
}

/// Collects what an insertion pushes out, to be dropped when no lock is held.
#[derive(Clone)]
struct Collect;

impl Lifecycle<TypedKey, Slot> for Collect {
    type RequestState = Vec<(TypedKey, Slot)>;

    fn on_evict(&self, left: &mut Self::RequestState, key: TypedKey, slot: Slot) {
        left.push((key, slot));
    }
}
