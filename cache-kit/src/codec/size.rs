//! [`Size`]: how many bytes the values of a type take.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The mean of the lengths seen last.
#[derive(Debug, Default)]
pub(crate) struct Size {
    /// In bytes; 0 if none was seen.
    mean: AtomicUsize,
    /// Whether it is a guess, since the values did not come in time.
    guessed: AtomicBool,
}

/// About so many values make the mean.
const LAST: usize = 16;

impl Size {
    /// The mean, if it is known.
    pub(crate) fn known(&self) -> Option<usize> {
        Some(self.mean.load(Ordering::Relaxed)).filter(|mean| *mean > 0)
    }

    /// Counts a value; whether it is the first one. Of two threads that count at a time, one may count for
    /// nothing.
    pub(crate) fn note(&self, bytes: usize) -> bool {
        let (mean, bytes) = (self.mean.load(Ordering::Relaxed), bytes.max(1));
        if mean == 0 || self.guessed.load(Ordering::Relaxed) {
            self.set(bytes, false);
            return true;
        }
        // What hardly changes it is not worth a write that all threads see.
        if bytes.abs_diff(mean) > mean / 8 {
            let next = mean - mean.div_ceil(LAST) + bytes.div_ceil(LAST);
            self.mean.store(next, Ordering::Relaxed);
        }
        false
    }

    /// Counts an absence: as long as no value was seen, they count as small. Whether it is the first one.
    pub(crate) fn note_absence(&self) -> bool {
        let unseen = self.known().is_none() || self.guessed.load(Ordering::Relaxed);
        if unseen {
            self.set(1, false);
        }
        unseen
    }

    /// Takes them for values of `bytes`, until there is an answer.
    pub(crate) fn guess(&self, bytes: usize) {
        if self.known().is_none() {
            self.set(bytes, true);
        }
    }

    fn set(&self, bytes: usize, guessed: bool) {
        self.guessed.store(guessed, Ordering::Relaxed);
        self.mean.store(bytes, Ordering::Relaxed);
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
            (85_000..110_000).contains(&size.known().unwrap_or(0)),
            "{size:?}"
        );
        for _ in 0..400 {
            size.note(100);
        }
        assert!((1..200).contains(&size.known().unwrap_or(0)), "{size:?}");
        size.guess(5_000);
        assert!(!size.note_absence());
        assert!((1..200).contains(&size.known().unwrap_or(0)), "{size:?}");
    }

    #[test]
    fn a_guess_lasts_until_there_is_an_answer() {
        let size = Size::default();
        size.guess(5_000);
        assert_eq!(size.known(), Some(5_000));
        assert!(size.note(100) && !size.note(100));
        assert_eq!(size.known(), Some(100));

        let absent = Size::default();
        absent.guess(5_000);
        assert!(absent.note_absence() && !absent.note_absence());
        assert_eq!(absent.known(), Some(1));
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
