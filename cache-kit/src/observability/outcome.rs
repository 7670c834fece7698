//! [`Outcome`]: what one call did.

use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::lease::Invalidated;

/// What one call did: where its answer came from, and what happened on the way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    marks: Marks,
    /// `u64::MAX` where there is no answer.
    age_millis: u64,
}

/// A byte each for source, store result, flags and the state of the invalidation, and four for the
/// bound of an acknowledgement, in milliseconds. All of it is moved as one word. Every bit pattern is
/// valid, so that a `Result<Outcome>` is moved as whole words, too. With plain enum fields the moves
/// alone took a quarter of a hit's time.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(align(8))]
struct Marks([u8; 8]);

const SOURCE: usize = 0;
const STORE: usize = 1;
const FLAGS: usize = 2;
const INVALIDATION: usize = 3;
const BOUND: usize = 4;

/// The bits of the flags.
const STALE: u8 = 1;
const READ_FAILED: u8 = 2;
const STORE_FAILED: u8 = 4;
const REPOSITORY_FAILED: u8 = 8;
const REFRESHING: u8 = 16;
const AHEAD: u8 = 32;
/// The two highest say why the repository was asked.
const FORWARDED: u8 = 6;

/// The states of the invalidation; 0 if the call made none.
const DONE: u8 = 1;
const DONE_HERE: u8 = 2;
const PENDING: u8 = 3;

/// Why the repository was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forwarded {
    /// The cache had nothing.
    Miss,
    /// What it had was past its time.
    Stale,
    /// The call did not ask the cache.
    Bypass,
    /// The call invalidated what the cache had.
    Request,
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
    /// There is no answer: a Fresh call found nothing in the cache.
    Nothing,
}

/// Whether a loaded entity was stored in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreResult {
    /// There was nothing to store: no load, a load that another call stores, an absent row, or a
    /// time to live of zero. Or there was no lease to store under, which [`Degraded::store`] shows.
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

/// How old an answer is, in milliseconds. What a hit has found is told with it until the outcome is
/// returned: one word stays in a register, the two of an [`Outcome`] go through memory.
#[derive(Clone, Copy)]
pub(crate) struct Age(u64);

impl Age {
    #[inline]
    pub(crate) fn of(created: Timestamp, now: Timestamp) -> Self {
        Self(now.as_millis().saturating_sub(created.as_millis()))
    }
}

impl Outcome {
    /// The outcome of a hit that needed no awaiting.
    #[inline]
    pub(crate) fn hit(age: Age) -> Self {
        Self {
            age_millis: age.0,
            ..Self::of(Source::Cache)
        }
    }

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
        self.age_millis = Age::of(created, now).0;
        self
    }

    pub(crate) fn stored(mut self, store: StoreResult) -> Self {
        self.marks.0[STORE] = store as u8;
        self
    }

    pub(crate) fn stale(mut self, stale: bool) -> Self {
        self.set(STALE, stale);
        self
    }

    pub(crate) fn refreshing(mut self, refreshing: bool) -> Self {
        self.set(REFRESHING, refreshing);
        self
    }

    pub(crate) fn ahead(mut self, ahead: bool) -> Self {
        self.set(AHEAD, ahead);
        self
    }

    pub(crate) fn degraded_by(mut self, degraded: Degraded) -> Self {
        self.set(READ_FAILED, degraded.read);
        self.set(STORE_FAILED, degraded.store);
        self.set(REPOSITORY_FAILED, degraded.repository);
        if degraded.invalidation_pending {
            self = self.invalidated(Some(Invalidated::Pending));
        }
        self
    }

    pub(crate) fn invalidated(mut self, invalidated: Option<Invalidated>) -> Self {
        let (state, bound) = match invalidated {
            None => return self,
            Some(Invalidated::Done) => (DONE, Duration::ZERO),
            Some(Invalidated::DoneHere { others_within }) => (DONE_HERE, others_within),
            Some(Invalidated::Pending) => (PENDING, Duration::ZERO),
        };
        // Rounded up: it is a bound.
        let millis = bound.as_nanos().div_ceil(1_000_000);
        let millis = u32::try_from(millis).unwrap_or(u32::MAX);
        self.marks.0[INVALIDATION] = state;
        self.marks.0[BOUND..].copy_from_slice(&millis.to_le_bytes());
        self
    }

    pub(crate) fn forwarded_for(mut self, reason: Forwarded) -> Self {
        let others = self.marks.0[FLAGS] & !(3 << FORWARDED);
        self.marks.0[FLAGS] = others | ((reason as u8) << FORWARDED);
        self
    }

    /// Why the repository was asked, if it was.
    pub(crate) fn forwarded(&self) -> Forwarded {
        match self.marks.0[FLAGS] >> FORWARDED {
            0 => Forwarded::Miss,
            1 => Forwarded::Stale,
            2 => Forwarded::Bypass,
            _ => Forwarded::Request,
        }
    }

    fn set(&mut self, flag: u8, on: bool) {
        let flags = &mut self.marks.0[FLAGS];
        *flags = if on { *flags | flag } else { *flags & !flag };
    }

    fn has(&self, flag: u8) -> bool {
        self.marks.0[FLAGS] & flag != 0
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
        self.has(STALE)
    }

    /// Whether the answer is an entry that is being refreshed: by this call in the background, by
    /// another one, or by another process.
    pub fn is_refreshing(&self) -> bool {
        self.has(REFRESHING)
    }

    /// Whether this call has begun to refresh an entry before its time to live ended
    /// ([`FreshnessPolicy::with_refresh_ahead`](crate::FreshnessPolicy::with_refresh_ahead)).
    pub fn is_refreshed_ahead(&self) -> bool {
        self.has(AHEAD)
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
        Degraded {
            read: self.has(READ_FAILED),
            store: self.has(STORE_FAILED),
            invalidation_pending: self.marks.0[INVALIDATION] == PENDING,
            repository: self.has(REPOSITORY_FAILED),
        }
    }

    /// How far the invalidation of a call with
    /// [`CacheStrategy::Invalidate`](crate::CacheStrategy::Invalidate) reaches; `None` for other
    /// strategies. The bound of [`Invalidated::DoneHere`] is in whole milliseconds.
    pub fn invalidation(&self) -> Option<Invalidated> {
        let [.., a, b, c, d] = self.marks.0;
        let others_within = Duration::from_millis(u32::from_le_bytes([a, b, c, d]).into());
        match self.marks.0[INVALIDATION] {
            DONE => Some(Invalidated::Done),
            DONE_HERE => Some(Invalidated::DoneHere { others_within }),
            PENDING => Some(Invalidated::Pending),
            _ => None,
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
            .field("refreshing", &self.is_refreshing())
            .field("refreshed_ahead", &self.is_refreshed_ahead())
            .field("store", &self.store())
            .field("degraded", &self.degraded())
            .field("invalidation", &self.invalidation())
            .finish()
    }
}

/// In one line, for a log: `cache, 250 ms old`, `repository, stored`, `repository, not stored:
/// fenced; the repository failed`.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source())?;
        if self.is_stale() {
            f.write_str(", stale")?;
        }
        if let Some(age) = self.age() {
            write!(f, ", {} ms old", age.as_millis())?;
        }
        match self.store() {
            StoreResult::NotTried => {}
            StoreResult::Stored => f.write_str(", stored")?,
            StoreResult::Fenced => f.write_str(", not stored: fenced")?,
            StoreResult::TooLarge => f.write_str(", not stored: too large")?,
            StoreResult::Failed => f.write_str(", not stored: failed")?,
        }
        match self.invalidation() {
            None => {}
            Some(Invalidated::Done) => f.write_str(", invalidated")?,
            Some(Invalidated::DoneHere { others_within }) => write!(
                f,
                ", invalidated here, in other processes within {} ms",
                others_within.as_millis()
            )?,
            Some(Invalidated::Pending) => f.write_str(", invalidation pending")?,
        }
        let degraded = self.degraded();
        for (failed, what) in [
            (degraded.read, "; the cache could not be read"),
            (degraded.store, "; the cache could not store"),
            (degraded.repository, "; the repository failed"),
        ] {
            if failed {
                f.write_str(what)?;
            }
        }
        Ok(())
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
        for reason in [
            Forwarded::Request,
            Forwarded::Bypass,
            Forwarded::Stale,
            Forwarded::Miss,
        ] {
            let forwarded = outcome.ahead(true).forwarded_for(reason).stale(true);
            assert_eq!(forwarded.forwarded(), reason);
            assert!(forwarded.is_stale() && forwarded.is_refreshed_ahead());
            assert!(!forwarded.is_refreshing());
        }
    }

    #[test]
    fn every_acknowledgement_comes_back_with_its_bound() {
        let outcome = Outcome::of(Source::Repository);
        assert_eq!(outcome.invalidation(), None);
        let here = |others_within| Invalidated::DoneHere { others_within };
        for (put, got) in [
            (Invalidated::Done, Invalidated::Done),
            (Invalidated::Pending, Invalidated::Pending),
            (here(Duration::from_secs(1)), here(Duration::from_secs(1))),
            (
                here(Duration::from_nanos(1)),
                here(Duration::from_millis(1)),
            ),
            (
                here(Duration::MAX),
                here(Duration::from_millis(u32::MAX.into())),
            ),
        ] {
            let outcome = outcome.stale(true).invalidated(Some(put));
            assert_eq!(outcome.invalidation(), Some(got));
            assert_eq!(
                outcome.degraded().invalidation_pending,
                put == Invalidated::Pending
            );
            assert!(outcome.is_stale() && outcome.source() == Source::Repository);
        }
    }

    #[test]
    fn an_outcome_is_shown_in_one_line() {
        let hit = Outcome::of(Source::Cache);
        let (then, now) = (Timestamp::from_millis(1_000), Timestamp::from_millis(1_250));
        assert_eq!(hit.aged(then, now).to_string(), "cache, 250 ms old");
        let degraded = Degraded {
            repository: true,
            ..Degraded::default()
        };
        assert_eq!(
            hit.stale(true).degraded_by(degraded).to_string(),
            "cache, stale; the repository failed"
        );
        let loaded = Outcome::of(Source::Repository);
        assert_eq!(
            loaded
                .stored(StoreResult::Fenced)
                .invalidated(Some(Invalidated::Done))
                .to_string(),
            "repository, not stored: fenced, invalidated"
        );
        assert_eq!(Outcome::of(Source::Nothing).to_string(), "nothing");
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
