//! Timers on the caller's runtime. A runtime without timers is an error, not a panic.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::{Error, Result};
use crate::unwind::caught;

/// Some decades: not every duration can be added to an instant.
const LONGEST: Duration = Duration::from_secs(30 * 365 * 24 * 3_600);

/// The moment at which `limit` has passed.
pub(crate) fn after(limit: Duration) -> Instant {
    Instant::now() + limit.min(LONGEST)
}

/// The caller's runtime; `what` needs it.
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

/// A timer that fires at `end`; `what` needs it. A caught panic is the only way to ask a tokio
/// runtime whether it has timers.
///
/// # Errors
/// [`Error::ConfigError`] if it has none.
pub(crate) fn sleep(end: Instant, what: &str) -> Result<Sleep> {
    caught(|| sleep_until(end)).ok_or_else(|| no_timer(what))
}

/// The error for a runtime without timers.
pub(crate) fn no_timer(what: &str) -> Error {
    Error::ConfigError(format!(
        "{what} needs a tokio runtime with its timer: build it with `enable_all()`"
    ))
}
