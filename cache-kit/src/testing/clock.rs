//! [`ManualClock`]: a clock that is set by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};

/// A clock that is set by hand. Clones show the same time.
///
/// ```
/// use std::time::Duration;
/// use cache_kit::CacheExpander;
/// use cache_kit::backend::InMemoryBackend;
/// use cache_kit::testing::ManualClock;
///
/// let time = ManualClock::new();
/// let expander = CacheExpander::new(InMemoryBackend::new()).with_clock(time.clock());
/// time.advance(Duration::from_secs(60));
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock {
    millis: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock that shows some whole second long after the epoch.
    pub fn new() -> Self {
        Self {
            millis: Arc::new(AtomicU64::new(1_000_000_000_000)),
        }
    }

    /// Lets `duration` pass, in whole milliseconds.
    pub fn advance(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2);
        self.millis.fetch_add(millis, Ordering::AcqRel);
    }

    /// The time that it shows.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::Acquire))
    }

    /// This clock, for [`CacheExpander::with_clock`](crate::CacheExpander::with_clock).
    pub fn clock(&self) -> Clock {
        Clock::manual(Arc::clone(&self.millis))
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}
