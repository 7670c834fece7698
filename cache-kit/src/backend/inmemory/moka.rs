//! The moka engine.
//!
//! moka drops values whenever its housekeeping runs, which may be inside a call that we make under
//! a lock. So it keeps each entry in a [`Kept`], whose `Drop` moves the entry to a graveyard; the
//! backend empties that when it holds no lock.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use moka::notification::RemovalCause;
use moka::sync::Cache;

use super::engine::{BorrowedKey, EvictionCause, Gone, Slot};
use crate::shards::TypedKey;
use crate::sync::{Mutex, lock};

pub(super) struct MokaMap {
    cache: Cache<TypedKey, Arc<Kept>, quick_cache::DefaultHashBuilder>,
    graveyard: Arc<Graveyard>,
    capacity: u64,
}

impl MokaMap {
    pub(super) fn new(capacity: u64, idle: Option<Duration>) -> Self {
        let mut builder = Cache::builder()
            .max_capacity(capacity)
            .weigher(|_, kept: &Arc<Kept>| kept.weight())
            .eviction_listener(|_, kept: Arc<Kept>, cause| kept.left(cause));
        if let Some(idle) = idle {
            builder = builder.time_to_idle(idle);
        }
        Self {
            cache: builder.build_with_hasher(Default::default()),
            graveyard: Arc::default(),
            capacity,
        }
    }

    pub(super) fn get(&self, key: &BorrowedKey<'_>) -> Option<Slot> {
        self.cache.get(key)?.slot.clone()
    }

    pub(super) fn peek(&self, key: &BorrowedKey<'_>) -> Option<Slot> {
        // moka has no look-up without side effects; this counts as a use, which is harmless for a
        // key that is about to be loaded.
        self.get(key)
    }

    pub(super) fn insert(&self, key: TypedKey, slot: Slot, gone: &mut Vec<Gone>) {
        let kept = Arc::new(Kept {
            key: key.clone(),
            slot: Some(slot),
            graveyard: Arc::clone(&self.graveyard),
        });
        self.cache.insert(key, kept);
        gone.append(&mut self.collect());
    }

    pub(super) fn remove(&self, key: &TypedKey, gone: &mut Vec<Gone>) {
        drop(self.cache.remove(key));
        gone.append(&mut self.collect());
    }

    pub(super) fn clear(&self, gone: &mut Vec<Gone>) {
        // Not `invalidate_all`, which removes behind the scenes and some time later.
        for (key, _) in self.cache.iter() {
            self.remove(&key, gone);
        }
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

    pub(super) fn heaviest(&self) -> u64 {
        self.capacity
    }
}

/// An entry inside moka. Whoever drops the last reference sends it to the graveyard.
struct Kept {
    key: TypedKey,
    /// Taken when it is dropped, and not before.
    slot: Option<Slot>,
    graveyard: Arc<Graveyard>,
}

impl Kept {
    fn weight(&self) -> u32 {
        self.slot.as_ref().map_or(1, |slot| slot.weight)
    }

    /// Reports an eviction. The drop may come much later: moka collects its garbage by epochs.
    fn left(&self, cause: RemovalCause) {
        let cause = match cause {
            RemovalCause::Size => EvictionCause::Capacity,
            RemovalCause::Expired => EvictionCause::Idle,
            RemovalCause::Explicit | RemovalCause::Replaced => return,
        };
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

#[derive(Default)]
struct Graveyard {
    buried: Mutex<Vec<Gone>>,
    /// How many are buried, to be read without the lock.
    graves: AtomicUsize,
}

impl Graveyard {
    fn bury(&self, key: &TypedKey, slot: Slot, evicted: Option<EvictionCause>) {
        let mut buried = lock(&self.buried);
        buried.push(Gone {
            key: key.clone(),
            slot,
            evicted,
        });
        self.graves.store(buried.len(), Ordering::Release);
    }
}
