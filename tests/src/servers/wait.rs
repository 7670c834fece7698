//! Bounded waiting: the only place of the harness that pauses.

use std::thread;
use std::time::{Duration, Instant};

/// How long the harness itself waits for an expected event: a server's start, an answer, a trap.
/// Generous, since only a failing test ever waits this long.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// How long a test waits for what must come: long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(1);

/// Polls `done` until it returns `true`.
///
/// It blocks the thread: in a test whose runtime has only this thread, nothing else on that runtime
/// can make progress. Use [`eventually_async`] there.
///
/// # Panics
///
/// When `limit` has passed; the message names `what`.
#[track_caller]
pub fn eventually(what: &str, limit: Duration, done: impl FnMut() -> bool) {
    assert!(within(limit, done), "not within {limit:?}: {what}");
}

/// [`eventually`], for a test on a tokio runtime: other tasks of the runtime go on meanwhile.
///
/// # Panics
///
/// When `limit` has passed; the message names `what`. Outside of a runtime with timers.
pub async fn eventually_async(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether `done` returned `true` within `limit`.
pub(crate) fn within(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !done() {
        if start.elapsed() >= limit {
            return false;
        }
        thread::park_timeout(PAUSE);
    }
    true
}
