//! Counters of the in-memory backend.

use std::sync::atomic::{AtomicU64, Ordering};

/// What an [`InMemoryBackend`](super::InMemoryBackend) has counted since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct InMemoryStats {
    /// Look-ups that found an entry.
    pub hits: u64,
    /// Look-ups that found nothing, or an entry that had expired.
    pub misses: u64,
    /// Entries stored.
    pub stores: u64,
    /// Stores refused because an invalidation or another store came in between.
    pub fenced: u64,
    /// Entries dropped to make room, or for being idle.
    pub evictions: u64,
    /// Invalidations, of keys that were there and of keys that were not.
    pub invalidations: u64,
}

impl InMemoryStats {
    /// The part of the look-ups that were hits, from 0 to 1; 0 before the first look-up.
    pub fn hit_ratio(&self) -> f64 {
        let lookups = self.hits + self.misses;
        if lookups == 0 {
            return 0.0;
        }
        self.hits as f64 / lookups as f64
    }
}

#[derive(Default)]
pub(super) struct Stats {
    pub(super) hits: Striped,
    pub(super) misses: Striped,
    pub(super) stores: Striped,
    pub(super) fenced: Striped,
    pub(super) evictions: Striped,
    pub(super) invalidations: Striped,
}

impl Stats {
    pub(super) fn snapshot(&self) -> InMemoryStats {
        InMemoryStats {
            hits: self.hits.sum(),
            misses: self.misses.sum(),
            stores: self.stores.sum(),
            fenced: self.fenced.sum(),
            evictions: self.evictions.sum(),
            invalidations: self.invalidations.sum(),
        }
    }
}

const STRIPES: usize = 16;

/// A counter in several cache lines, so that threads that count hits do not take turns.
#[derive(Default)]
pub(super) struct Striped([Line; STRIPES]);

#[derive(Default)]
#[repr(align(64))]
struct Line(AtomicU64);

thread_local! {
    /// Its address identifies the thread.
    static HERE: u8 = const { 0 };
}

impl Striped {
    #[inline]
    pub(super) fn add(&self, count: u64) {
        let address = HERE.with(|here| std::ptr::from_ref(here) as usize);
        // Thread blocks lie pages apart; the multiplication spreads what differs to the top bits.
        let stripe =
            (address >> 6).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as usize) >> (usize::BITS - 4);
        self.0[stripe % STRIPES]
            .0
            .fetch_add(count, Ordering::Relaxed);
    }

    fn sum(&self) -> u64 {
        self.0.iter().fold(0, |sum, line| {
            sum.wrapping_add(line.0.load(Ordering::Relaxed))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_threads_add_up() {
        let counter = Striped::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1_000).for_each(|_| counter.add(1)));
            }
        });
        assert_eq!(counter.sum(), 8_000);
    }

    #[test]
    fn the_hit_ratio_of_nothing_is_zero() {
        let mut stats = InMemoryStats::default();
        assert_eq!(stats.hit_ratio(), 0.0);
        (stats.hits, stats.misses) = (3, 1);
        assert_eq!(stats.hit_ratio(), 0.75);
    }
}
