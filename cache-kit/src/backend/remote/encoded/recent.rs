//! [`Recent`]: what the last look-ups found.

use std::sync::atomic::{AtomicU64, Ordering};

/// The last 64 look-ups, the newest in the lowest bit: 1 if there was nothing. Concurrent ones may
/// get lost, which does not matter.
#[derive(Debug, Default)]
pub(super) struct Recent(AtomicU64);

/// Of the last 64 look-ups, so many found nothing: then a look-up costs more trips than it saves.
const COLD: u32 = 58;

impl Recent {
    /// A look-up found nothing, or something.
    pub(super) fn note(&self, nothing: bool) {
        let last = self.0.load(Ordering::Relaxed);
        let next = last << 1 | u64::from(nothing);
        // While all find something, nothing is written that the other threads read.
        if next != last {
            self.0.store(next, Ordering::Relaxed);
        }
    }

    /// Look-ups pay again, whatever the last ones found.
    pub(super) fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Whether nearly all of them found nothing.
    pub(super) fn is_cold(&self) -> bool {
        self.0.load(Ordering::Relaxed).count_ones() >= COLD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_cold_after_many_misses_and_warm_after_some_hits() {
        let recent = Recent::default();
        for _ in 0..COLD - 1 {
            recent.note(true);
        }
        assert!(!recent.is_cold());
        recent.note(true);
        assert!(recent.is_cold());
        for _ in 0..64 {
            recent.note(true);
        }
        for _ in 0..6 {
            recent.note(false);
        }
        assert!(recent.is_cold(), "one in ten is a hit");
        recent.note(false);
        assert!(!recent.is_cold());
        for _ in 0..64 {
            recent.note(true);
        }
        recent.forget();
        assert!(!recent.is_cold());
    }
}
