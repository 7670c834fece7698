//! [`Split`]: whether a kind of command that was refused is sent in another way for a while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Redis refuses a whole command if it refuses it for one key. Unrelated keys share a command, so a
/// refused one is sent again key by key. For this long, so are the commands after it; otherwise
/// each would first cost a wasted round trip. The same goes for the question what a user without
/// scripts can do instead.
const FOR: Duration = Duration::from_secs(10);

/// Whether commands of one kind are sent in another way, since one was refused.
pub(super) struct Split {
    made: Instant,
    /// In milliseconds since it was made; 0 while nothing was refused.
    until: AtomicU64,
}

impl Split {
    pub(super) fn new() -> Self {
        Self {
            made: Instant::now(),
            until: AtomicU64::new(0),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until != 0 && self.made.elapsed() < Duration::from_millis(until)
    }

    /// A command was refused.
    pub(super) fn begin(&self) {
        let until = self.made.elapsed().saturating_add(FOR).as_millis();
        let until = u64::try_from(until).unwrap_or(u64::MAX);
        self.until.store(until, Ordering::Relaxed);
    }
}
