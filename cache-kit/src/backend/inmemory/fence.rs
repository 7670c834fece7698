//! The fences of keys that are being loaded.
//!
//! A row exists only while there is a lease on its key. Its fence is always the id of what is under
//! the key: of the entry if there is one, otherwise of the first lease. The caller changes the map
//! inside the closures below, that is, under the lock of the row's shard; a hit takes no lock of
//! this table.

use std::sync::Arc;

use super::key::MapKey;
use crate::backend::Fence;
use crate::shards::Shards;
use crate::sync::atomic::{AtomicU64, Ordering};

#[cfg(all(test, cache_kit_model))]
mod model;

pub(super) struct Fences {
    rows: Shards<Row, MapKey>,
    /// The last id that was given to an entry or a lease.
    last: AtomicU64,
}

struct Row {
    fence: Fence,
    holders: usize,
}

/// A lease's share in a row. Dropping the last share removes the row.
pub(super) struct Share {
    fences: Arc<Fences>,
    key: MapKey,
    fence: Fence,
}

impl Fences {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            rows: Shards::new(),
            last: AtomicU64::new(0),
        })
    }

    fn next(&self) -> Fence {
        Fence(self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The fence of `key`, if there is a lease on it.
    pub(super) fn current(&self, key: &MapKey) -> Option<Fence> {
        self.rows.lock(key).get(key).map(|row| row.fence)
    }

    /// Takes a share in the row of `key`. `standing` is asked, under the lock, for the id of the
    /// entry under the key; its error is returned and no share is taken.
    pub(super) fn hold<E>(
        self: &Arc<Self>,
        key: MapKey,
        standing: impl FnOnce() -> Result<Option<Fence>, E>,
    ) -> Result<Share, E> {
        let fence = {
            let mut rows = self.rows.lock(&key);
            let standing = standing()?;
            let row = rows.entry(key.clone()).or_insert_with(|| Row {
                fence: standing.unwrap_or_else(|| self.next()),
                holders: 0,
            });
            row.holders += 1;
            row.fence
        };
        Ok(self.held(key, fence))
    }

    /// Makes every lease on `key` worthless, runs `remove` under the lock, and takes a share.
    pub(super) fn overtake_and_hold<R>(
        self: &Arc<Self>,
        key: MapKey,
        remove: impl FnOnce() -> R,
    ) -> (Share, R) {
        let (fence, removed) = {
            let mut rows = self.rows.lock(&key);
            let fence = self.next();
            let row = rows.entry(key.clone()).or_insert(Row { fence, holders: 0 });
            row.fence = fence;
            row.holders += 1;
            (fence, remove())
        };
        (self.held(key, fence), removed)
    }

    /// Makes every lease on `key` worthless and runs `remove` under the lock.
    pub(super) fn overtake<R>(&self, key: &MapKey, remove: impl FnOnce() -> R) -> R {
        let mut rows = self.rows.lock(key);
        if let Some(row) = rows.get_mut(key) {
            row.fence = self.next();
        }
        remove()
    }

    /// Makes every lease on the keys that are `wanted` worthless.
    pub(super) fn overtake_all(&self, wanted: impl Fn(&MapKey) -> bool) {
        for mut rows in self.rows.each() {
            for (key, row) in rows.iter_mut() {
                if wanted(key) {
                    row.fence = self.next();
                }
            }
        }
    }

    fn held(self: &Arc<Self>, key: MapKey, fence: Fence) -> Share {
        Share {
            fences: Arc::clone(self),
            key,
            fence,
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.rows.each().map(|rows| rows.len()).sum()
    }
}

impl Share {
    pub(super) fn fence(&self) -> Fence {
        self.fence
    }

    pub(super) fn key(&self) -> &MapKey {
        &self.key
    }

    /// Runs `insert` under the lock, with the id for the new entry, if this share's fence is still
    /// the current one; that id becomes the fence, so that every other share is worthless.
    /// `None` says that the fence was overtaken.
    pub(super) fn fill<R>(&self, insert: impl FnOnce(Fence) -> R) -> Option<R> {
        let mut rows = self.fences.rows.lock(&self.key);
        let row = rows.get_mut(&self.key)?;
        if row.fence != self.fence {
            return None;
        }
        row.fence = self.fences.next();
        Some(insert(row.fence))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let removed = {
            let mut rows = self.fences.rows.lock(&self.key);
            match rows.get_mut(&self.key) {
                Some(row) if row.holders > 1 => {
                    row.holders -= 1;
                    None
                }
                _ => rows.remove_entry(&self.key),
            }
        };
        drop(removed);
    }
}

#[cfg(all(test, not(cache_kit_model)))]
mod tests {
    use super::*;

    fn key() -> MapKey {
        MapKey::example("user:1")
    }

    fn hold(fences: &Arc<Fences>, standing: Option<Fence>) -> Share {
        fences
            .hold(key(), || Ok::<_, std::convert::Infallible>(standing))
            .unwrap_or_else(|never| match never {})
    }

    #[test]
    fn only_the_first_of_two_loads_stores() {
        let fences = Fences::new();
        let (first, second) = (hold(&fences, None), hold(&fences, None));
        assert_eq!(first.fence(), second.fence());
        assert!(second.fill(|_| ()).is_some());
        assert!(first.fill(|_| ()).is_none());
        drop((first, second));
        assert_eq!(fences.len(), 0);
    }

    #[test]
    fn an_invalidation_makes_every_lease_worthless() {
        let fences = Fences::new();
        let before = hold(&fences, None);
        fences.overtake(&key(), || ());
        let after = hold(&fences, None);
        assert!(before.fill(|_| ()).is_none());
        assert!(after.fill(|_| ()).is_some());
    }

    #[test]
    fn a_lease_over_an_entry_carries_the_entrys_id() {
        let fences = Fences::new();
        let held = hold(&fences, Some(Fence(77)));
        assert_eq!(held.fence(), Fence(77));
        assert_eq!(fences.current(&key()), Some(Fence(77)));
    }

    #[test]
    fn a_refused_hold_leaves_no_row() {
        let fences = Fences::new();
        assert!(fences.hold(key(), || Err::<Option<Fence>, _>(())).is_err());
        assert_eq!(fences.len(), 0);
    }

    #[test]
    fn overtake_all_reaches_every_shard() {
        let fences = Fences::new();
        let held: Vec<_> = (0..500)
            .map(|n| {
                let key = MapKey::example(&format!("user:{n}"));
                fences
                    .hold(key, || Ok::<_, std::convert::Infallible>(None))
                    .unwrap_or_else(|never| match never {})
            })
            .collect();
        fences.overtake_all(|_| true);
        assert!(held.iter().all(|held| held.fill(|_| ()).is_none()));
    }
}
