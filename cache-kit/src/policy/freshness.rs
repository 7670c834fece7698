//! [`FreshnessPolicy`]: how long answers are fresh, and what may stand in for a fresh one.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::{Entry, Freshness};

/// The shortest load time that [`refresh_ahead`](FreshnessPolicy::with_refresh_ahead) reckons with:
/// a store takes its time, too, and the clock of a hit moves in steps of some milliseconds.
const SHORTEST_LOAD: f64 = 0.01;

/// How many load times before the end of its time to live an entry may be refreshed at the earliest,
/// for a factor of 1: a chance of e⁻²⁰.
const LOAD_TIMES: f64 = 20.0;

/// How fresh the answers are, beside the time to live: for one call
/// ([`OperationConfig::with_freshness`](crate::OperationConfig::with_freshness)), for a service
/// ([`CacheExpander::with_freshness`](crate::CacheExpander::with_freshness)), or, by attributes and
/// methods of the same names, for an entity type.
///
/// Each setting is decided for itself: the call's, if it has one, else the service's, else the
/// entity's. A zero switches off what the entity or the service has set.
///
/// ```
/// use std::time::Duration;
/// use cache_kit::FreshnessPolicy;
///
/// let policy = FreshnessPolicy::default()
///     .with_jitter(0.1)
///     .with_stale_while_revalidate(Duration::from_secs(30))
///     .with_stale_if_error(Duration::from_secs(600));
/// ```
///
/// # When it is decided
///
/// When an entry is *read*, so that a new deploy counts for entries that are there already. What an
/// entry was stored with is the upper bound: the reader's time to live and grace may shorten it, and
/// longer ones count for entries that are stored from then on. Only `jitter` is decided when the entry
/// is stored. A time to live that a call has set ([`OperationConfig::with_ttl`]) belongs to the entry,
/// and no reader shortens it.
///
/// An invalidation ends every kind of staleness, at once and in every process.
///
/// [`OperationConfig::with_ttl`]: crate::OperationConfig::with_ttl
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FreshnessPolicy {
    jitter: Option<f64>,
    stale_while_revalidate: Option<Duration>,
    stale_if_error: Option<Duration>,
    refresh_ahead: Option<f64>,
    negative_ttl: Option<Duration>,
    answer_within: Option<Duration>,
}

// No number in it is NaN.
impl Eq for FreshnessPolicy {}

impl FreshnessPolicy {
    /// Shortens each time to live by a random part of up to this fraction, so that entries that were
    /// stored together do not all expire together: with `0.1`, an hour becomes 54 to 60 minutes. From
    /// `0.0` to `1.0`; other numbers count as the nearer of the two, and NaN as zero. Default: none.
    pub fn with_jitter(mut self, fraction: f64) -> Self {
        self.jitter = Some(number(fraction).min(1.0));
        self
    }

    /// For how long after its time to live an entry is still answered, stale, while one load refreshes
    /// it: in the background with a [`CachedRepository`](crate::CachedRepository), and by one of the
    /// callers with a repository that is borrowed for the call. Default: not at all.
    pub fn with_stale_while_revalidate(mut self, time: Duration) -> Self {
        self.stale_while_revalidate = Some(time);
        self
    }

    /// For how long an entry stands in for a load that fails, counted from the end of its time to live
    /// and of `stale_while_revalidate`. A load that has failed is not tried again for 1 s, and after
    /// further failures for up to 30 s. Default: not at all.
    pub fn with_stale_if_error(mut self, time: Duration) -> Self {
        self.stale_if_error = Some(time);
        self
    }

    /// Refreshes entries before their time to live ends, with a probability that grows towards the end
    /// (XFetch; Vattani, Chierichetti, Lowenstein 2015). `1.0` is right for most, and refreshes a few
    /// load times ahead; more begins earlier. Negative numbers and NaN count as zero, which is off, as
    /// by default.
    pub fn with_refresh_ahead(mut self, factor: f64) -> Self {
        self.refresh_ahead = Some(number(factor));
        self
    }

    /// How long the cache remembers that the repository has no entity of a key, but no longer than an
    /// entity would live. Default: not at all.
    pub fn with_negative_ttl(mut self, time: Duration) -> Self {
        self.negative_ttl = Some(time);
        self
    }

    /// How long a caller that has a stale entry waits for the load before it takes that entry; the load
    /// goes on. It needs a load that lives longer than its caller, as those of a
    /// [`CachedRepository`](crate::CachedRepository) do, and is ignored elsewhere. Default: until the
    /// load ends.
    pub fn with_answer_within(mut self, time: Duration) -> Self {
        self.answer_within = Some(time);
        self
    }

    /// Whether it says how long an absence is remembered.
    pub(crate) fn sets_negative_ttl(&self) -> bool {
        self.negative_ttl.is_some()
    }
}

/// `number`, if it is one and not negative; else zero.
fn number(number: f64) -> f64 {
    if number > 0.0 { number } else { 0.0 }
}

/// What counts for one call: its own settings, and those of its service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'c> {
    /// None of a call without settings, so that a hit makes none.
    pub(crate) call: Option<&'c FreshnessPolicy>,
    pub(crate) service: &'c FreshnessPolicy,
}

/// What an entry is to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Fresh,
    /// Fresh, and its turn to be refreshed has come.
    Ahead,
    /// Stale: answered while it is refreshed.
    Revalidated,
    /// Stale: stands in for a load that fails.
    IfError,
    /// Of no use any more.
    Outlived,
}

macro_rules! decided {
    ($($name:ident: $of_entity:ident -> $type:ty;)*) => {$(
        #[inline]
        pub(crate) fn $name<T: CacheEntity>(&self) -> Option<$type> {
            let of_call = self.call.and_then(|call| call.$name);
            of_call.or(self.service.$name).or_else(T::$of_entity)
        }
    )*};
}

impl Rules<'_> {
    decided! {
        jitter: cache_jitter -> f64;
        stale_while_revalidate: cache_stale_while_revalidate -> Duration;
        stale_if_error: cache_stale_if_error -> Duration;
        refresh_ahead: cache_refresh_ahead -> f64;
        negative_ttl: cache_negative_ttl -> Duration;
        answer_within: cache_answer_within -> Duration;
    }

    /// How long an entry may be kept after its time to live.
    pub(crate) fn grace<T: CacheEntity>(&self) -> Duration {
        let revalidated = self.stale_while_revalidate::<T>().unwrap_or_default();
        revalidated.saturating_add(self.stale_if_error::<T>().unwrap_or_default())
    }

    /// What `entry` is at `now`, if entities live for `ttl` milliseconds. `random`, from zero to one, is
    /// drawn only if it is wanted.
    #[inline]
    pub(crate) fn state<T: CacheEntity>(
        self,
        entry: &Entry<T>,
        ttl: u64,
        now: Timestamp,
        random: impl FnOnce() -> f64,
    ) -> State {
        // Of an entry of the future it is larger than any time to live.
        let age = now.as_millis().wrapping_sub(entry.created.as_millis());
        if now < entry.stale_from
            && now < entry.expires
            && age < ttl
            && entry.value.is_some()
            && self.refresh_ahead::<T>().is_none()
        {
            return State::Fresh;
        }
        // A copy, so that the usual end need not have the entry in memory.
        let stamps = Entry::<()> {
            value: None,
            created: entry.created,
            stale_from: entry.stale_from,
            expires: entry.expires,
            load_millis: entry.load_millis,
            pinned: entry.pinned,
        };
        self.decide::<T>(stamps, entry.value.is_none(), ttl, now, random)
    }

    /// All of the decision, of which [`state`](Self::state) knows the usual end.
    #[inline(never)]
    fn decide<T: CacheEntity>(
        self,
        stamps: Entry<()>,
        absent: bool,
        ttl: u64,
        now: Timestamp,
        random: impl FnOnce() -> f64,
    ) -> State {
        if stamps.freshness(now) == Freshness::Expired {
            return State::Outlived;
        }
        let fresh_until = self.fresh_until::<T>(&stamps, absent, ttl);
        if now < fresh_until {
            return match self.refresh_ahead::<T>() {
                Some(factor) if !absent && is_ahead(&stamps, fresh_until, factor, now, random) => {
                    State::Ahead
                }
                _ => State::Fresh,
            };
        }
        // An absence has no grace.
        if absent {
            return State::Outlived;
        }
        let revalidated = self.stale_while_revalidate::<T>().unwrap_or_default();
        if now < fresh_until.after(revalidated) {
            State::Revalidated
        } else if now < fresh_until.after(self.grace::<T>()) {
            State::IfError
        } else {
            State::Outlived
        }
    }

    /// When `entry` stops being fresh.
    fn fresh_until<T: CacheEntity>(&self, stamps: &Entry<()>, absent: bool, ttl: u64) -> Timestamp {
        if stamps.pinned {
            return stamps.stale_from;
        }
        let mut ttl = Duration::from_millis(ttl);
        if absent {
            ttl = ttl.min(self.negative_ttl::<T>().unwrap_or_default());
        }
        stamps.stale_from.min(stamps.created.after(ttl))
    }
}

/// Whether the turn of a fresh entry has come: `now - load * factor * ln(random) >= end`.
fn is_ahead(
    stamps: &Entry<()>,
    end: Timestamp,
    factor: f64,
    now: Timestamp,
    random: impl FnOnce() -> f64,
) -> bool {
    if end == Timestamp::NEVER {
        return false;
    }
    let load = Duration::from_millis(stamps.load_millis.into()).as_secs_f64();
    let scale = load.max(SHORTEST_LOAD) * factor;
    let left = end.since(now).as_secs_f64();
    left <= scale * LOAD_TIMES && -random().max(f64::MIN_POSITIVE).ln() * scale >= left
}
