//! [`Suspects`]: the ids that are loaded alone.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many are remembered. With more, the oldest is forgotten, and may fail one more batch.
const REMEMBERED: usize = 1_024;

/// Ids of batches that failed, which have not been loaded since: each may be the reason.
#[derive(Default)]
pub(super) struct Suspects {
    /// How many there are. It is nearly always 0, and then the lock is not taken.
    count: AtomicUsize,
    /// Their hashes, oldest first. After a collision, the other id is loaded alone without need.
    hashes: Mutex<VecDeque<u64>>,
    hasher: RandomState,
}

impl Suspects {
    pub(super) fn has(&self, id: &impl Hash) -> bool {
        if self.count.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let hash = self.hasher.hash_one(id);
        self.lock().contains(&hash)
    }

    pub(super) fn note(&self, id: &impl Hash) {
        let hash = self.hasher.hash_one(id);
        let mut hashes = self.lock();
        if hashes.contains(&hash) {
            return;
        }
        if hashes.len() >= REMEMBERED {
            hashes.pop_front();
        }
        hashes.push_back(hash);
        self.count.store(hashes.len(), Ordering::Relaxed);
    }

    /// `id` has been loaded.
    pub(super) fn forget(&self, id: &impl Hash) {
        let hash = self.hasher.hash_one(id);
        let mut hashes = self.lock();
        hashes.retain(|suspect| *suspect != hash);
        self.count.store(hashes.len(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<u64>> {
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspect_is_one_until_it_is_forgotten() {
        let suspects = Suspects::default();
        suspects.note(&1);
        suspects.note(&1);
        suspects.note(&2);
        assert!(suspects.has(&1) && suspects.has(&2) && !suspects.has(&3));
        suspects.forget(&1);
        suspects.forget(&3);
        assert!(!suspects.has(&1) && suspects.has(&2));
        suspects.forget(&2);
        assert_eq!(suspects.count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_newest_are_remembered() {
        let suspects = Suspects::default();
        for id in 0..=REMEMBERED {
            suspects.note(&id);
        }
        assert!(!suspects.has(&0_usize) && suspects.has(&1_usize) && suspects.has(&REMEMBERED));
        assert_eq!(suspects.lock().len(), REMEMBERED);
    }
}
