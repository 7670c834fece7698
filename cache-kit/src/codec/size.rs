//! [`Size`]: how many bytes the values of a type take.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The mean of the lengths seen last, in bytes; 0 if none was seen.
#[derive(Debug, Default)]
pub(crate) struct Size(AtomicUsize);

/// About so many values make the mean.
const LAST: usize = 16;

impl Size {
    /// The mean, if it is known.
    pub(crate) fn known(&self) -> Option<usize> {
        Some(self.0.load(Ordering::Relaxed)).filter(|mean| *mean > 0)
    }

    /// Counts a value. Of two threads that count at a time, one may count for nothing.
    pub(crate) fn note(&self, bytes: usize) {
        let mean = self.0.load(Ordering::Relaxed);
        let next = match mean {
            0 => bytes.max(1),
            _ => mean - mean.div_ceil(LAST) + bytes.max(1).div_ceil(LAST),
        };
        if next != mean {
            self.0.store(next, Ordering::Relaxed);
        }
    }

    /// Takes the mean for `bytes` at least, until values say otherwise.
    pub(crate) fn suspect(&self, bytes: usize) {
        self.0.fetch_max(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_follows_the_values() {
        let size = Size::default();
        assert_eq!(size.known(), None);
        size.note(100);
        assert_eq!(size.known(), Some(100));
        for _ in 0..200 {
            size.note(100_000);
        }
        assert!(
            (90_000..110_000).contains(&size.known().unwrap_or(0)),
            "{size:?}"
        );
        for _ in 0..400 {
            size.note(100);
        }
        assert!((1..200).contains(&size.known().unwrap_or(0)), "{size:?}");
        size.suspect(5_000);
        size.suspect(50);
        assert_eq!(size.known(), Some(5_000));
    }

    #[test]
    fn no_length_overflows_or_makes_it_unknown() {
        let size = Size::default();
        for bytes in [0, usize::MAX, usize::MAX, 0, 0, usize::MAX] {
            size.note(bytes);
            assert!(size.known().is_some(), "{size:?}");
        }
    }
}
