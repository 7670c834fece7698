//! [`Clock`] and [`Timestamp`]: the only place where time is read.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

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

    /// This moment and `duration` more, rounded up to a whole millisecond. A duration too long
    /// for the calendar gives [`Timestamp::NEVER`].
    pub fn after(self, duration: Duration) -> Self {
        let millis = duration.as_nanos().div_ceil(1_000_000);
        u64::try_from(millis)
            .ok()
            .and_then(|millis| self.0.checked_add(millis))
            .map_or(Self::NEVER, Self)
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Where a service takes the time from that decides about expiry.
///
/// The system clock is coarse: it moves in steps of some milliseconds (4 on a usual Linux), and a
/// read costs about as much as a function call. It runs on the monotonic clock from the wall time
/// at which the service was made, so that no adjustment of the wall clock makes an entry older or
/// younger.
#[derive(Clone)]
pub struct Clock(Kind);

#[derive(Clone)]
enum Kind {
    System {
        origin: coarsetime::Instant,
        wall: u64,
    },
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        let wall = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| {
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX / 2)
            });
        Self(Kind::System {
            origin: coarsetime::Instant::now_without_cache_update(),
            wall,
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
                let elapsed = coarsetime::Instant::now_without_cache_update()
                    .duration_since(*origin)
                    .as_millis();
                Timestamp(wall.saturating_add(elapsed))
            }
            Kind::Manual(millis) => Timestamp(millis.load(Ordering::Acquire)),
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
    fn the_system_clock_shows_wall_time_and_never_goes_back() {
        let clock = Clock::system();
        let wall = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let first = clock.now();
        let shown = Duration::from_millis(first.as_millis());
        assert!(
            shown.abs_diff(wall) < Duration::from_secs(60),
            "{shown:?} {wall:?}"
        );
        assert!((0..10_000).all(|_| clock.now() >= first));
    }
}
