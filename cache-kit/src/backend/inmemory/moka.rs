//! The moka engine.
//!
//! moka drops values whenever its housekeeping runs, which may be inside a call that is made under
//! a lock. So it keeps each entry in a [`Kept`], whose `Drop` moves the entry to a graveyard; the
//! backend empties that when it holds no lock.
//!
//! moka counts every `get` as a use of the key, with or without a value; only `contains_key` leaves
//! no trace. So an index beside it holds the entries, too, for look-ups that must not count.

use std::hash::Hash;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use moka::notification::RemovalCause;
use moka::sync::Cache;
use quick_cache::Equivalent;

use super::engine::{EvictionCause, Gone};
use super::key::MapKey;
use super::slot::Slot;
use crate::shards::Shards;
use crate::sync::{Mutex, lock};

pub(super) struct MokaMap {
    cache: Cache<MapKey, Arc<Kept>, quick_cache::DefaultHashBuilder>,
    /// What the cache holds, or is about to drop. Updated before an entry goes into the cache, and
    /// after it leaves.
    index: Arc<Index>,
    graveyard: Arc<Graveyard>,
    capacity: u64,
}

impl MokaMap {
    /// A map of at most `capacity` units of weight. `weighed` says whether entries differ in
    /// weight: moka then sizes its frequency sketch differently.
    pub(super) fn new(capacity: u64, weighed: bool, idle: Option<Duration>) -> Self {
        let index = Arc::new(Index(Shards::new()));
        let listening = Arc::clone(&index);
        let mut builder = Cache::builder()
            .max_capacity(capacity)
            .eviction_listener(move |_, kept: Arc<Kept>, cause| kept.left(cause, &listening));
        if weighed {
            builder = builder.weigher(|_, kept: &Arc<Kept>| kept.weight());
        }
        if let Some(idle) = idle {
            builder = builder.time_to_idle(idle);
        }
        Self {
            cache: builder.build_with_hasher(Default::default()),
            index,
            graveyard: Arc::default(),
            capacity,
        }
    }

    pub(super) fn get<Q: Hash + Equivalent<MapKey>>(&self, key: &Q) -> Option<Slot> {
        self.cache.get(key)?.slot.clone()
    }

    pub(super) fn peek(&self, key: &MapKey) -> Option<Slot> {
        // Asked first: the index also holds what has been idle too long.
        if !self.cache.contains_key(key) {
            return None;
        }
        self.index.get(key)?.slot.clone()
    }

    pub(super) fn insert(&self, key: MapKey, slot: Slot, gone: &mut Vec<Gone>) -> bool {
        let kept = Arc::new(Kept {
            key: key.clone(),
            slot: Some(slot),
            graveyard: Arc::clone(&self.graveyard),
        });
        self.index.insert(key.clone(), Arc::clone(&kept));
        self.cache.insert(key, kept);
        gone.append(&mut self.collect());
        true
    }

    pub(super) fn remove(&self, key: &MapKey, gone: &mut Vec<Gone>) {
        drop(self.cache.remove(key));
        self.index.remove(key);
        gone.append(&mut self.collect());
    }

    pub(super) fn keys(&self, wanted: impl Fn(&MapKey) -> bool) -> Vec<MapKey> {
        self.index.keys(wanted)
    }

    pub(super) fn collect(&self) -> Vec<Gone> {
        if self.graveyard.graves.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let mut buried = lock(&self.graveyard.buried);
        self.graveyard.graves.store(0, Ordering::Release);
        mem::take(&mut *buried)
    }

    pub(super) fn len(&self) -> usize {
        self.cache.run_pending_tasks();
        usize::try_from(self.cache.entry_count()).unwrap_or(usize::MAX)
    }

    /// As [`len`](Self::len), without the housekeeping, so that it may lag behind.
    pub(super) fn about(&self) -> usize {
        usize::try_from(self.cache.entry_count()).unwrap_or(usize::MAX)
    }

    pub(super) fn heaviest(&self) -> u64 {
        self.capacity
    }
}

/// An entry inside moka. Dropping the last reference sends it to the graveyard.
struct Kept {
    key: MapKey,
    /// `Some` until it is dropped.
    slot: Option<Slot>,
    graveyard: Arc<Graveyard>,
}

impl Kept {
    fn weight(&self) -> u32 {
        self.slot.as_ref().map_or(1, Slot::weight)
    }

    /// Reports an eviction. The drop may come much later, since moka collects its garbage by
    /// epochs.
    fn left(self: &Arc<Self>, cause: RemovalCause, index: &Index) {
        let cause = match cause {
            RemovalCause::Size => EvictionCause::Capacity,
            RemovalCause::Expired => EvictionCause::Idle,
            RemovalCause::Explicit | RemovalCause::Replaced => return,
        };
        index.remove_only(self);
        if let Some(slot) = self.slot.clone() {
            self.graveyard.bury(&self.key, slot, Some(cause));
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.graveyard.bury(&self.key, slot, None);
        }
    }
}

/// The entries by key. An entry that leaves the index is dropped outside of its lock.
struct Index(Shards<Arc<Kept>, MapKey>);

impl Index {
    fn get(&self, key: &MapKey) -> Option<Arc<Kept>> {
        self.0.lock(key).get(key).cloned()
    }

    fn insert(&self, key: MapKey, kept: Arc<Kept>) {
        let replaced = self.0.lock(&key).insert(key, kept);
        drop(replaced);
    }

    fn remove(&self, key: &MapKey) {
        let removed = self.0.lock(key).remove_entry(key);
        drop(removed);
    }

    /// Removes `kept`, but not an entry that has taken its place.
    fn remove_only(&self, kept: &Arc<Kept>) {
        let removed = {
            let mut entries = self.0.lock(&kept.key);
            match entries.get(&kept.key) {
                Some(standing) if Arc::ptr_eq(standing, kept) => entries.remove_entry(&kept.key),
                _ => None,
            }
        };
        drop(removed);
    }

    fn keys(&self, wanted: impl Fn(&MapKey) -> bool) -> Vec<MapKey> {
        let mut keys = Vec::new();
        for entries in self.0.each() {
            keys.extend(entries.keys().filter(|key| wanted(key)).cloned());
        }
        keys
    }
}

#[derive(Default)]
struct Graveyard {
    buried: Mutex<Vec<Gone>>,
    /// How many are buried; read without the lock.
    graves: AtomicUsize,
}

impl Graveyard {
    fn bury(&self, key: &MapKey, slot: Slot, evicted: Option<EvictionCause>) {
        let mut buried = lock(&self.buried);
        buried.push(Gone {
            key: key.clone(),
            slot,
            evicted,
        });
        self.graves.store(buried.len(), Ordering::Release);
    }
}
