//! [`Outcome`]: what one call did.

use std::fmt;
use std::time::Duration;

/// What one call did: where its answer came from, and what happened on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Where the answer came from.
    pub source: Source,
    /// How old the answer is: the time since it was loaded. `None` where there is no answer.
    pub age: Option<Duration>,
    /// Whether the answer is past its time to live.
    pub stale: bool,
    /// What became of the loaded entity in the cache.
    pub store: StoreResult,
    /// What did not work and was worked around.
    pub degraded: Degraded,
}

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
    /// Nowhere: a Fresh call found nothing in the cache.
    Nothing,
}

/// What became of a loaded entity in the cache.
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
    /// The store failed; [`Outcome::degraded`] says more.
    Failed,
}

/// What did not work and was worked around.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Degraded {
    /// The cache could not be read; the repository answered instead.
    pub read: bool,
    /// The loaded entity could not be stored: no lease could be had, or the store failed.
    pub store: bool,
    /// The invalidation has not been confirmed yet; the backend goes on sending it, and serves
    /// nothing for the key until it is through. Other processes may still see the old value.
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
        Self {
            source,
            age: None,
            stale: false,
            store: StoreResult::NotTried,
            degraded: Degraded::default(),
        }
    }

    #[inline]
    pub(crate) fn hit(age: Duration) -> Self {
        Self {
            age: Some(age),
            ..Self::of(Source::Cache)
        }
    }

    /// Whether the cache answered.
    pub fn is_hit(&self) -> bool {
        self.source == Source::Cache
    }
}

impl Degraded {
    /// Whether anything did not work.
    pub fn any(&self) -> bool {
        self.read || self.store || self.invalidation_pending || self.repository
    }
}
