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
    /// (XFetch; Vattani, Chierichetti, Lowenstein 2015): in the background with a
    /// [`CachedRepository`](crate::CachedRepository). With a repository that is borrowed, the caller
    /// whose turn it is loads, and waits for it. `1.0` is right for most, and refreshes a few load times
    /// ahead; more begins earlier. Negative numbers and NaN count as zero, which is off, as by default.
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
    /// goes on. A call for many keys does so if all that it has to load have stale entries. It needs a load that lives longer than its caller, as those of a
    /// [`CachedRepository`](crate::CachedRepository) do, and is ignored elsewhere. Default: until the
    /// load ends.
    pub fn with_answer_within(mut self, time: Duration) -> Self {
        self.answer_within = Some(time);
        self
    }

    /// Each setting of this one, else that of `other`.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            jitter: self.jitter.or(other.jitter),
            stale_while_revalidate: self.stale_while_revalidate.or(other.stale_while_revalidate),
            stale_if_error: self.stale_if_error.or(other.stale_if_error),
            refresh_ahead: self.refresh_ahead.or(other.refresh_ahead),
            negative_ttl: self.negative_ttl.or(other.negative_ttl),
            answer_within: self.answer_within.or(other.answer_within),
        }
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
        let age = now.as_millis().wrapping_sub(entry.created.as_millis());
        if entry.created <= now
            && now < entry.stale_from
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
        // Where nothing is stored, nothing is answered from the store either.
        let unwanted = ttl == 0 && !stamps.pinned;
        if unwanted || stamps.freshness(now) == Freshness::Expired {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);
    const NEVER: u64 = u64::MAX;

    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    struct Plain;

    /// An entity that has a setting of each kind.
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    struct Set;

    impl CacheEntity for Plain {
        type Key = u64;

        fn cache_key(&self) -> u64 {
            0
        }

        fn cache_prefix() -> &'static str {
            "plain"
        }
    }

    impl CacheEntity for Set {
        type Key = u64;

        fn cache_key(&self) -> u64 {
            0
        }

        fn cache_prefix() -> &'static str {
            "set"
        }

        fn cache_stale_while_revalidate() -> Option<Duration> {
            Some(MINUTE)
        }

        fn cache_stale_if_error() -> Option<Duration> {
            Some(MINUTE * 2)
        }

        fn cache_negative_ttl() -> Option<Duration> {
            Some(MINUTE)
        }

        fn cache_refresh_ahead() -> Option<f64> {
            Some(1.0)
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + seconds * 1_000)
    }

    /// An entry of an hour that is kept for another one.
    fn entry<T: CacheEntity>(value: Option<T>) -> Entry<T> {
        Entry {
            value: value.map(Arc::new),
            created: at(0),
            stale_from: at(3_600),
            expires: at(7_200),
            load_millis: 1_000,
            pinned: false,
        }
    }

    fn state<T: CacheEntity>(
        call: FreshnessPolicy,
        service: FreshnessPolicy,
        entry: &Entry<T>,
        ttl: u64,
        now: u64,
    ) -> State {
        let rules = Rules {
            call: Some(&call),
            service: &service,
        };
        rules.state(entry, ttl, at(now), || 1.0)
    }

    #[test]
    fn one_kind_of_staleness_follows_the_other() {
        let none = FreshnessPolicy::default();
        let entry = entry(Some(Set));
        let of = |now| state(none, none, &entry, NEVER, now);
        assert_eq!([of(0), of(3_599)], [State::Fresh; 2]);
        assert_eq!([of(3_600), of(3_659)], [State::Revalidated; 2]);
        assert_eq!([of(3_660), of(3_779)], [State::IfError; 2]);
        assert_eq!([of(3_780), of(7_199), of(7_200)], [State::Outlived; 3]);
    }

    #[test]
    fn the_call_decides_before_the_service_and_the_service_before_the_entity() {
        let none = FreshnessPolicy::default();
        let grace = |time| none.with_stale_while_revalidate(time);
        let of = |call, service| {
            let entry = entry(Some(Set));
            let fresh_for = |now| state(call, service, &entry, NEVER, now) == State::Revalidated;
            (3_600..7_200).filter(|now| fresh_for(*now)).count()
        };
        assert_eq!(of(none, none), 60);
        assert_eq!(of(none, grace(SECOND * 10)), 10);
        assert_eq!(of(grace(SECOND * 20), grace(SECOND * 10)), 20);
        assert_eq!(of(grace(Duration::ZERO), grace(SECOND * 10)), 0);
        assert_eq!(
            of(grace(Duration::MAX), none),
            3_600,
            "as long as it is kept"
        );
    }

    #[test]
    fn a_reader_shortens_the_time_to_live_and_does_not_lengthen_it() {
        let none = FreshnessPolicy::default();
        let mut stored = entry(Some(Set));
        let of = |entry: &Entry<Set>, ttl, now| state(none, none, entry, ttl, now);
        assert_eq!(of(&stored, 600_000, 599), State::Fresh);
        assert_eq!(of(&stored, 600_000, 600), State::Revalidated);
        assert_eq!(of(&stored, 600_000, 660), State::IfError);
        assert_eq!(of(&stored, 600_000, 780), State::Outlived);
        assert_eq!(of(&stored, 0, 0), State::Outlived, "nothing is stored");
        assert_eq!(of(&stored, NEVER, 3_600), State::Revalidated);
        stored.pinned = true;
        assert_eq!(of(&stored, 600_000, 3_599), State::Fresh);
        assert_eq!(of(&stored, 0, 3_599), State::Fresh);
        assert_eq!(of(&stored, NEVER, 3_600), State::Revalidated);
    }

    #[test]
    fn an_absence_counts_where_the_reader_remembers_absences() {
        let none = FreshnessPolicy::default();
        let absence = entry::<Set>(None);
        let of = |service, now| state(none, service, &absence, NEVER, now);
        assert_eq!(of(none, 59), State::Fresh);
        assert_eq!(of(none, 60), State::Outlived, "it has no grace");
        assert_eq!(
            of(none.with_negative_ttl(Duration::ZERO), 0),
            State::Outlived
        );
        assert_eq!(of(none.with_negative_ttl(MINUTE * 2), 119), State::Fresh);
        let off = entry::<Plain>(None);
        assert_eq!(state(none, none, &off, NEVER, 0), State::Outlived);
        let pinned = Entry {
            pinned: true,
            ..off
        };
        assert_eq!(state(none, none, &pinned, NEVER, 3_599), State::Fresh);
    }

    /// How many of 10,000 readers at `left` seconds before its end refresh an entry ahead, whose load
    /// took a second.
    fn ahead(factor: f64, left: u64) -> usize {
        let service = FreshnessPolicy::default().with_refresh_ahead(factor);
        let rules = Rules {
            call: None,
            service: &service,
        };
        let (entry, mut rng) = (entry(Some(Plain)), fastrand::Rng::with_seed(7));
        let mut turn = || rules.state(&entry, NEVER, at(3_600 - left), || rng.f64());
        (0..10_000).filter(|_| turn() == State::Ahead).count()
    }

    #[test]
    fn the_probability_to_refresh_ahead_grows_towards_the_end() {
        // e^-1, e^-2 and e^-5 of them.
        for (left, of_all) in [(1, 3_679), (2, 1_353), (5, 67)] {
            let counted = ahead(1.0, left);
            assert!(counted.abs_diff(of_all) < 200, "{counted} at {left} s");
        }
        assert_eq!(ahead(1.0, 60), 0);
        assert!(ahead(2.0, 2).abs_diff(3_679) < 200, "twice as early");
        assert_eq!([ahead(0.0, 1), ahead(-1.0, 1), ahead(f64::NAN, 1)], [0; 3]);
    }

    #[test]
    fn what_never_ends_or_is_absent_is_not_refreshed_ahead() {
        let service = FreshnessPolicy::default()
            .with_refresh_ahead(1_000.0)
            .with_negative_ttl(Duration::MAX);
        let rules = Rules {
            call: None,
            service: &service,
        };
        let mut for_ever = entry(Some(Plain));
        for_ever.stale_from = Timestamp::NEVER;
        for_ever.expires = Timestamp::NEVER;
        assert_eq!(rules.state(&for_ever, NEVER, at(9), || 0.0), State::Fresh);
        let absence = entry::<Plain>(None);
        assert_eq!(rules.state(&absence, NEVER, at(9), || 0.0), State::Fresh);
    }

    #[test]
    fn numbers_out_of_bounds_count_as_the_nearest_bound() {
        let jitter = |fraction| FreshnessPolicy::default().with_jitter(fraction).jitter;
        let of = [-1.0, 0.0, 0.25, 1.0, 7.0, f64::INFINITY, f64::NAN].map(jitter);
        assert_eq!(of, [0.0, 0.0, 0.25, 1.0, 1.0, 1.0, 0.0].map(Some));
    }
}
