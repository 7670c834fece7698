//! The moka engine.
//!
//! moka drops values whenever its housekeeping runs, which may be inside a call that is made under
//! a lock, and the `Drop` of an entity is user code. So moka has weak references, and an index beside
//! it owns the entries. Those that moka evicts wait in a list; the backend empties that when it holds no
//! lock.
//!
//! The index also serves look-ups that must not count: moka counts every `get` as a use of the key, with
//! or without a value; only `contains_key` leaves no trace.

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
use super::slot::{Slot, WeakSlot};
use crate::backend::Fence;
use crate::shards::Shards;
use crate::sync::{Mutex, lock};

pub(super) struct MokaMap {
    cache: Cache<MapKey, WeakSlot, quick_cache::DefaultHashBuilder>,
    /// What the cache holds. Updated before an entry goes into the cache, and after it leaves.
    index: Arc<Index>,
    evictions: Arc<Evictions>,
    capacity: u64,
}

impl MokaMap {
    /// A map of at most `capacity` units of weight. `weighed` says whether entries differ in
    /// weight: moka then sizes its frequency sketch differently.
    pub(super) fn new(capacity: u64, weighed: bool, idle: Option<Duration>) -> Self {
        let (index, evictions) = (Arc::new(Index(Shards::new())), Arc::default());
        let listener = {
            let (index, evictions) = (Arc::clone(&index), Arc::clone(&evictions));
            move |key: Arc<MapKey>, weak: WeakSlot, cause| {
                leave(&key, weak.fence, cause, &index, &evictions);
            }
        };
        let mut builder = Cache::builder()
            .max_capacity(capacity)
            .eviction_listener(listener);
        if weighed {
            builder = builder.weigher(|_, weak: &WeakSlot| weak.weight());
        }
        if let Some(idle) = idle {
            builder = builder.time_to_idle(idle);
        }
        Self {
            cache: builder.build_with_hasher(Default::default()),
            index,
            evictions,
            capacity,
        }
    }

    pub(super) fn get<Q: Hash + Equivalent<MapKey>>(&self, key: &Q) -> Option<Slot> {
        let found = self.cache.get(key)?.upgrade();
        // It may just have been replaced.
        found.or_else(|| self.cache.get(key)?.upgrade())
    }

    pub(super) fn peek(&self, key: &MapKey) -> Option<Slot> {
        // Asked first: the index also holds what has been idle too long.
        if !self.cache.contains_key(key) {
            return None;
        }
        self.index.get(key)
    }

    pub(super) fn insert(&self, key: MapKey, slot: Slot, gone: &mut Vec<Gone>) -> bool {
        let weak = slot.downgrade();
        // What is replaced lives until the cache no longer finds it.
        let replaced = self.index.insert(key.clone(), slot);
        gone.extend(replaced.map(|slot| without_cause(&key, slot)));
        self.cache.insert(key, weak);
        gone.append(&mut self.collect());
        true
    }

    pub(super) fn remove(&self, key: &MapKey, gone: &mut Vec<Gone>) {
        self.cache.invalidate(key);
        let removed = self.index.remove(key);
        gone.extend(removed.map(|slot| without_cause(key, slot)));
        gone.append(&mut self.collect());
    }

    pub(super) fn keys(&self, wanted: impl Fn(&MapKey) -> bool) -> Vec<MapKey> {
        self.index.keys(wanted)
    }

    pub(super) fn collect(&self) -> Vec<Gone> {
        self.evictions.take()
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

/// What happens to an entry that leaves moka: an eviction takes it out of the index.
fn leave(key: &MapKey, fence: Fence, cause: RemovalCause, index: &Index, evictions: &Evictions) {
    let cause = match cause {
        RemovalCause::Size => EvictionCause::Capacity,
        RemovalCause::Expired => EvictionCause::Idle,
        RemovalCause::Explicit | RemovalCause::Replaced => return,
    };
    if let Some(slot) = index.remove_only(key, fence) {
        evictions.add(Gone {
            key: key.clone(),
            slot,
            evicted: Some(cause),
        });
    }
}

fn without_cause(key: &MapKey, slot: Slot) -> Gone {
    Gone {
        key: key.clone(),
        slot,
        evicted: None,
    }
}

/// The entries by key. Nothing is dropped under its locks.
struct Index(Shards<Slot, MapKey>);

impl Index {
    fn get(&self, key: &MapKey) -> Option<Slot> {
        self.0.lock(key).get(key).cloned()
    }

    /// Puts an entry in, and returns the one that it replaces.
    fn insert(&self, key: MapKey, slot: Slot) -> Option<Slot> {
        self.0.lock(&key).insert(key, slot)
    }

    fn remove(&self, key: &MapKey) -> Option<Slot> {
        self.0.lock(key).remove(key)
    }

    /// Removes the entry with this fence, but not one that has taken its place.
    fn remove_only(&self, key: &MapKey, fence: Fence) -> Option<Slot> {
        let mut entries = self.0.lock(key);
        let is_it = entries.get(key).is_some_and(|slot| slot.fence == fence);
        is_it.then(|| entries.remove(key))?
    }

    fn keys(&self, wanted: impl Fn(&MapKey) -> bool) -> Vec<MapKey> {
        let mut keys = Vec::new();
        for entries in self.0.each() {
            keys.extend(entries.keys().filter(|key| wanted(key)).cloned());
        }
        keys
    }
}

/// What was evicted and still has to be dropped.
#[derive(Default)]
struct Evictions {
    list: Mutex<Vec<Gone>>,
    /// How long the list is; read without the lock.
    count: AtomicUsize,
}

impl Evictions {
    fn add(&self, gone: Gone) {
        let mut list = lock(&self.list);
        list.push(gone);
        self.count.store(list.len(), Ordering::Release);
    }

    fn take(&self) -> Vec<Gone> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let mut list = lock(&self.list);
        self.count.store(0, Ordering::Release);
        mem::take(&mut *list)
    }
}
