//! [`Outcome`]: what one call did.

use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;

/// What one call did: where its answer came from, and what happened on the way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    marks: Marks,
    /// `u64::MAX` where there is no answer.
    age_millis: u64,
}

/// Source, store result and flags, a byte each, moved as one word. It has no unused values, so that
/// a `Result<Outcome>` is moved as whole words, too. With plain enum fields the moves alone took a
/// quarter of a hit's time.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(align(8))]
struct Marks([u8; 8]);

const SOURCE: usize = 0;
const STORE: usize = 1;
const STALE: usize = 2;
const READ_FAILED: usize = 3;
const STORE_FAILED: usize = 4;
const INVALIDATION_PENDING: usize = 5;
const REPOSITORY_FAILED: usize = 6;

/// Where the answer of a call came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The cache had it: an entity, or the knowledge that there is none.
    Cache,
    /// The call loaded it from the repository.
    Repository,
    /// Another call's load of the same key, which this one joined.
    Shared,
    /// There is no answer: a Fresh call found nothing in the cache.
    Nothing,
}

/// Whether a loaded entity was stored in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreResult {
    /// There was nothing to store: no load, a load that another call stores, an absent row, or a
    /// time to live of zero.
    NotTried,
    /// It is in the cache.
    Stored,
    /// An invalidation or another store came in between; storing it could have put an older value
    /// back, so it was not stored.
    Fenced,
    /// It is larger than the store takes.
    TooLarge,
    /// The store failed.
    Failed,
}

/// Failures that the call worked around.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Degraded {
    /// The cache could not be read; the repository answered instead.
    pub read: bool,
    /// The loaded entity could not be stored: no lease was available, or the store failed.
    pub store: bool,
    /// The invalidation has not been confirmed yet; the backend goes on sending it, and serves
    /// nothing for the key until it succeeds. Other processes may still see the old value.
    pub invalidation_pending: bool,
    /// The repository failed, and a stale entry was served in its place.
    pub repository: bool,
}

impl Source {
    /// Its name in lower case, for a log or a header: `cache`, `repository`, `shared`, `nothing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Repository => "repository",
            Self::Shared => "shared",
            Self::Nothing => "nothing",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Outcome {
    #[inline]
    pub(crate) fn of(source: Source) -> Self {
        let mut marks = [0; 8];
        marks[SOURCE] = source as u8;
        Self {
            marks: Marks(marks),
            age_millis: u64::MAX,
        }
    }

    /// This outcome with an answer that was loaded at `created`.
    #[inline]
    pub(crate) fn aged(mut self, created: Timestamp, now: Timestamp) -> Self {
        self.age_millis = now.as_millis().saturating_sub(created.as_millis());
        self
    }

    pub(crate) fn stored(mut self, store: StoreResult) -> Self {
        self.marks.0[STORE] = store as u8;
        self
    }

    pub(crate) fn stale(mut self, stale: bool) -> Self {
        self.marks.0[STALE] = stale.into();
        self
    }

    pub(crate) fn degraded_by(mut self, degraded: Degraded) -> Self {
        let marks = &mut self.marks.0;
        marks[READ_FAILED] = degraded.read.into();
        marks[STORE_FAILED] = degraded.store.into();
        marks[INVALIDATION_PENDING] = degraded.invalidation_pending.into();
        marks[REPOSITORY_FAILED] = degraded.repository.into();
        self
    }

    /// Where the answer came from.
    pub fn source(&self) -> Source {
        let all = [Source::Cache, Source::Repository, Source::Shared];
        let source = all.get(usize::from(self.marks.0[SOURCE]));
        source.copied().unwrap_or(Source::Nothing)
    }

    /// How old the answer is: the time since it was loaded, in whole milliseconds. `None` where
    /// there is no answer.
    pub fn age(&self) -> Option<Duration> {
        (self.age_millis != u64::MAX).then(|| Duration::from_millis(self.age_millis))
    }

    /// Whether the answer is past its time to live.
    pub fn is_stale(&self) -> bool {
        self.marks.0[STALE] != 0
    }

    /// Whether the loaded entity was stored in the cache.
    pub fn store(&self) -> StoreResult {
        let all = [
            StoreResult::NotTried,
            StoreResult::Stored,
            StoreResult::Fenced,
            StoreResult::TooLarge,
        ];
        let store = all.get(usize::from(self.marks.0[STORE]));
        store.copied().unwrap_or(StoreResult::Failed)
    }

    /// Failures that the call worked around.
    pub fn degraded(&self) -> Degraded {
        let marks = self.marks.0;
        Degraded {
            read: marks[READ_FAILED] != 0,
            store: marks[STORE_FAILED] != 0,
            invalidation_pending: marks[INVALIDATION_PENDING] != 0,
            repository: marks[REPOSITORY_FAILED] != 0,
        }
    }

    /// Whether the cache answered.
    pub fn is_hit(&self) -> bool {
        self.source() == Source::Cache
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
            .field("source", &self.source())
            .field("age", &self.age())
            .field("stale", &self.is_stale())
            .field("store", &self.store())
            .field("degraded", &self.degraded())
            .finish()
    }
}

impl Degraded {
    /// Whether there was any failure.
    pub fn any(&self) -> bool {
        self.read || self.store || self.invalidation_pending || self.repository
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_comes_back() {
        for source in [
            Source::Cache,
            Source::Repository,
            Source::Shared,
            Source::Nothing,
        ] {
            assert_eq!(Outcome::of(source).source(), source);
            assert_eq!(Outcome::of(source).is_hit(), source == Source::Cache);
        }
        let outcome = Outcome::of(Source::Cache);
        for store in [
            StoreResult::NotTried,
            StoreResult::Stored,
            StoreResult::Fenced,
            StoreResult::TooLarge,
            StoreResult::Failed,
        ] {
            assert_eq!(outcome.stored(store).store(), store);
        }
        for bits in 0..16_u8 {
            let degraded = Degraded {
                read: bits & 1 != 0,
                store: bits & 2 != 0,
                invalidation_pending: bits & 4 != 0,
                repository: bits & 8 != 0,
            };
            assert_eq!(outcome.degraded_by(degraded).degraded(), degraded);
            assert_eq!(degraded.any(), bits != 0);
        }
        assert!(outcome.stale(true).is_stale() && !outcome.is_stale());
    }

    #[test]
    fn an_age_is_there_where_there_is_an_answer() {
        let (then, now) = (Timestamp::from_millis(1_000), Timestamp::from_millis(1_250));
        let outcome = Outcome::of(Source::Cache);
        assert_eq!(outcome.age(), None);
        assert_eq!(
            outcome.aged(then, now).age(),
            Some(Duration::from_millis(250))
        );
        assert_eq!(outcome.aged(now, then).age(), Some(Duration::ZERO));
    }
}
