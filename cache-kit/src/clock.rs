//! [`Clock`] and [`Timestamp`]: the only place where time is read.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Stores of bytes count lifetimes in numbers of their own. Moments up to this one fit all of them.
const YEAR_10000: u64 = 253_402_300_800_000;

/// A moment, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// A moment later than any other: the expiry of what never expires.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This moment and `duration` more, rounded up to a whole millisecond. A moment after the year
    /// 9999 becomes [`Timestamp::NEVER`].
    pub fn after(self, duration: Duration) -> Self {
        let millis = duration.as_nanos().div_ceil(1_000_000);
        u64::try_from(millis)
            .ok()
            .and_then(|millis| self.0.checked_add(millis))
            .filter(|millis| *millis < YEAR_10000)
            .map_or(Self::NEVER, Self)
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// The source of the time that decides about expiry.
///
/// The system clock shows wall time, so that the stamps of all processes that share a store agree.
/// It is coarse: it moves in steps of some milliseconds (4 on a usual Linux), and a read costs
/// about as much as a function call.
///
/// # Steps of the wall clock
/// Between steps it runs on the machine's monotonic clock and never goes back. When it is read, it
/// compares itself with the wall clock, at most every 10 ms, and follows it if they are more than
/// 20 ms apart: after a suspended machine wakes up, a step of NTP, or a correction by hand. Then
///
/// - a step forward makes entries older by the step: some expire early;
/// - a step back makes them younger: they are served for longer by the step, but at most for twice
///   their lifetime ([`Entry::freshness`](crate::entry::Entry::freshness)).
#[derive(Clone)]
pub struct Clock(Kind);

#[derive(Clone)]
enum Kind {
    System {
        origin: coarsetime::Instant,
        wall: Arc<Wall>,
    },
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Kind::System {
            origin: coarsetime::Instant::now_without_cache_update(),
            wall: Arc::new(Wall::new(wall_millis())),
        })
    }

    /// A clock that shows the milliseconds in `millis`; see `testing::ManualClock`.
    #[cfg_attr(
        not(any(test, feature = "testing")),
        allow(dead_code, reason = "the manual clock is a tool of tests")
    )]
    pub(crate) fn manual(millis: Arc<AtomicU64>) -> Self {
        Self(Kind::Manual(millis))
    }

    /// What the clock shows.
    #[inline]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::System { origin, wall } => {
                Timestamp(wall.at(|| millis_since(*origin), wall_millis))
            }
            Kind::Manual(millis) => Timestamp(millis.load(Ordering::Acquire)),
        }
    }
}

impl Clock {
    /// How long ago something began: at `begun` by this clock, at `since` by a precise one. A clock that
    /// is set by hand decides itself, so that a test can say how long a load takes.
    pub(crate) fn elapsed(&self, begun: Timestamp, since: Instant) -> Duration {
        match &self.0 {
            Kind::System { .. } => since.elapsed(),
            Kind::Manual(_) => self.now().since(begun),
        }
    }
}

#[inline]
fn millis_since(origin: coarsetime::Instant) -> u64 {
    coarsetime::Instant::now_without_cache_update()
        .duration_since(origin)
        .as_millis()
}

fn wall_millis() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX / 2)
        })
}

/// Wall time, kept as its distance from a steady clock. All in milliseconds.
struct Wall {
    /// What is added to the steady clock.
    ahead: AtomicU64,
    /// When, by the steady clock, to compare the two again.
    due: AtomicU64,
}

/// A read of the wall clock costs ten of the coarse one, so it is not read every time.
const COMPARED_EVERY: u64 = 10;

/// A coarse clock lags by up to a tick, 16 ms at most. A larger difference is a step.
const TOLERATED: u64 = 20;

impl Wall {
    /// For a steady clock that shows zero when the wall clock shows `wall`.
    fn new(wall: u64) -> Self {
        Self {
            ahead: AtomicU64::new(wall),
            due: AtomicU64::new(COMPARED_EVERY),
        }
    }

    #[inline]
    fn at(&self, steady: impl Fn() -> u64, wall: impl FnOnce() -> u64) -> u64 {
        let now = steady();
        if now >= self.due.load(Ordering::Relaxed) {
            self.compare(now, steady, wall);
        }
        now.wrapping_add(self.ahead.load(Ordering::Relaxed))
    }

    #[cold]
    fn compare(&self, now: u64, steady: impl Fn() -> u64, wall: impl FnOnce() -> u64) {
        let wall = wall();
        // A thread that is preempted between the two reads would take the pause for a step.
        if steady().saturating_sub(now) > TOLERATED / 2 {
            return;
        }
        self.due.store(now + COMPARED_EVERY, Ordering::Relaxed);
        let shown = now.wrapping_add(self.ahead.load(Ordering::Relaxed));
        if shown.abs_diff(wall) > TOLERATED {
            self.ahead.store(wall.wrapping_sub(now), Ordering::Relaxed);
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Kind::System { .. } => "system",
            Kind::Manual(_) => "manual",
        };
        f.debug_tuple("Clock").field(&kind).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_rounded_up_and_never_wraps() {
        let now = Timestamp::from_millis(1_000);
        assert_eq!(now.after(Duration::from_millis(500)).as_millis(), 1_500);
        assert_eq!(now.after(Duration::from_nanos(1)).as_millis(), 1_001);
        assert_eq!(now.after(Duration::MAX), Timestamp::NEVER);
        assert_eq!(now.after(Duration::from_millis(u64::MAX)), Timestamp::NEVER);
    }

    #[test]
    fn what_lies_in_the_future_has_age_zero() {
        let now = Timestamp::from_millis(1_000);
        assert_eq!(now.since(Timestamp::from_millis(2_000)), Duration::ZERO);
        assert_eq!(
            now.since(Timestamp::from_millis(400)),
            Duration::from_millis(600)
        );
    }

    #[test]
    fn an_end_that_no_store_can_count_to_is_never() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let years = |years: u64| now.after(Duration::from_secs(years * 365 * 24 * 3_600));
        assert_ne!(years(1_000), Timestamp::NEVER);
        for more in [10_000, 300_000_000] {
            assert_eq!(years(more), Timestamp::NEVER);
        }
    }

    #[test]
    fn the_system_clock_shows_wall_time_and_never_goes_back() {
        let clock = Clock::system();
        let wall = Duration::from_millis(wall_millis());
        let first = clock.now();
        let shown = Duration::from_millis(first.as_millis());
        assert!(
            shown.abs_diff(wall) < Duration::from_secs(60),
            "{shown:?} {wall:?}"
        );
        assert!((0..10_000).all(|_| clock.now() >= first));
    }

    const NOON: u64 = 1_800_000_000_000;

    /// What a clock that was made at noon shows when the steady clock shows `steady` and the wall
    /// clock `wall`.
    fn shown(clock: &Wall, steady: u64, wall: u64) -> u64 {
        clock.at(|| steady, || wall)
    }

    #[test]
    fn a_step_of_the_wall_clock_is_followed_within_ten_milliseconds() {
        let hour = 3_600_000;
        let clock = Wall::new(NOON);
        assert_eq!(shown(&clock, 9, NOON + 9), NOON + 9);
        // Suspended for an hour, which the steady clock does not count.
        assert_eq!(shown(&clock, 12, NOON + hour + 12), NOON + hour + 12);
        // Set back by three.
        let back = NOON + hour - 3 * hour;
        assert_eq!(shown(&clock, 21, back + 21), NOON + hour + 21, "not due");
        assert_eq!(shown(&clock, 22, back + 22), back + 22);
        assert_eq!(shown(&clock, 500, back + 500), back + 500);
        // Before the epoch, as far as a machine without a battery knows.
        assert_eq!(shown(&clock, 600, 0), 0);
        assert_eq!(shown(&clock, 700, NOON), NOON);
    }

    #[test]
    fn the_lag_of_a_coarse_clock_is_no_step() {
        let clock = Wall::new(NOON);
        let mut last = 0;
        for steady in (0..10_000).step_by(4) {
            let lag = if steady % 3 == 0 { 0 } else { 15 };
            let now = shown(&clock, steady, NOON + steady + lag);
            assert!(now >= last);
            assert_eq!(now, NOON + steady);
            last = now;
        }
    }

    #[test]
    fn a_clock_that_runs_away_slowly_is_caught_up_with() {
        let clock = Wall::new(NOON);
        for steady in (0..10_000_000).step_by(1_000) {
            let wall = NOON + steady + steady / 2_000;
            assert!(shown(&clock, steady, wall).abs_diff(wall) <= TOLERATED);
        }
    }

    #[test]
    fn a_thread_that_stands_still_between_two_reads_sees_no_step() {
        let clock = Wall::new(NOON);
        let steady = AtomicU64::new(100);
        let shown = clock.at(
            || steady.load(Ordering::Relaxed),
            || {
                steady.store(5_100, Ordering::Relaxed);
                NOON + 5_100
            },
        );
        assert_eq!(shown, NOON + 100);
        assert_eq!(clock.at(|| 5_110, || NOON + 5_110), NOON + 5_110);
    }
}
