//! [`Large`]: the keys of large values, whose look-ups are sent alone.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// From this size on, in bytes, a value takes as long as many look-ups and would delay the others
/// of its batch.
const LARGE: usize = 64 << 10;

/// How many keys of large values are remembered.
const REMEMBERED: usize = 1_024;

/// Keys under which the last look-up found a large value. The first look-up of such a key delays
/// its batch; later ones are sent alone.
#[derive(Default)]
pub(super) struct Large {
    /// How many there are. It is nearly always 0, and then the lock is not taken.
    count: AtomicUsize,
    /// Their hashes. After a collision, the other key is sent alone without need.
    keys: Mutex<HashSet<u64>>,
    hasher: RandomState,
}

impl Large {
    pub(super) fn has(&self, key: &str) -> bool {
        self.count.load(Ordering::Relaxed) > 0 && self.lock().contains(&self.hasher.hash_one(key))
    }

    /// Notes the size of the value that was found under `key`.
    pub(super) fn note(&self, key: &str, bytes: usize) {
        if bytes < LARGE && self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let hash = self.hasher.hash_one(key);
        let mut keys = self.lock();
        if bytes < LARGE {
            keys.remove(&hash);
        } else if keys.len() < REMEMBERED {
            keys.insert(hash);
        }
        self.count.store(keys.len(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_large_values_are_known_until_they_are_small_again() {
        let large = Large::default();
        large.note("a", LARGE - 1);
        assert!(!large.has("a"));
        large.note("a", LARGE);
        assert!(large.has("a") && !large.has("b"));
        large.note("b", 0);
        large.note("a", 0);
        assert!(!large.has("a") && large.count.load(Ordering::Relaxed) == 0);
    }

    #[test]
    fn only_so_many_are_remembered() {
        let large = Large::default();
        for n in 0..2 * REMEMBERED {
            large.note(&n.to_string(), LARGE);
        }
        assert_eq!(large.lock().len(), REMEMBERED);
    }
}
