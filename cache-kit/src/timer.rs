//! Timers on the caller's runtime. A runtime without a timer is an error and no panic.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::{Error, Result};
use crate::unwind::caught;

/// Some decades, since not every duration can be added to an instant.
const LONGEST: Duration = Duration::from_secs(30 * 365 * 24 * 3_600);

/// The moment at which `limit` has passed.
pub(crate) fn after(limit: Duration) -> Instant {
    Instant::now() + limit.min(LONGEST)
}

/// The runtime around a caller; `what` needs it.
///
/// # Errors
/// [`Error::ConfigError`] if there is none.
pub(crate) fn runtime(what: &str) -> Result<Handle> {
    Handle::try_current().map_err(|_| {
        Error::ConfigError(format!(
            "{what} needs a tokio runtime around it, for its deadline"
        ))
    })
}

/// A timer that rings at `end`; `what` needs it. tokio has no other way to ask a runtime whether it
/// has one.
///
/// # Errors
/// [`Error::ConfigError`] if it has none.
pub(crate) fn sleep(end: Instant, what: &str) -> Result<Sleep> {
    caught(|| sleep_until(end)).ok_or_else(|| no_timer(what))
}

/// What is told of a runtime without a timer.
pub(crate) fn no_timer(what: &str) -> Error {
    Error::ConfigError(format!(
        "{what} needs a tokio runtime with its timer: build it with `enable_all()`"
    ))
}
