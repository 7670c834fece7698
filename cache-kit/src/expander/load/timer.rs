//! Deadlines on the caller's runtime. A runtime without a timer is an error and no panic.

use std::future::{Future, poll_fn};
use std::panic::catch_unwind;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::{Error, Result};

/// Some decades, since not every duration can be added to an instant.
const LONGEST: Duration = Duration::from_secs(30 * 365 * 24 * 3_600);

/// The moment at which `limit` has passed.
///
/// # Errors
/// [`Error::ConfigError`] outside of a runtime.
pub(super) fn after(limit: Duration) -> Result<Instant> {
    if Handle::try_current().is_err() {
        return Err(Error::ConfigError(
            "a load needs a tokio runtime around it, for its deadline".into(),
        ));
    }
    Ok(Instant::now() + limit.min(LONGEST))
}

/// Waits for `limit`.
///
/// # Errors
/// [`Error::ConfigError`] on a runtime without a timer.
pub(super) async fn sleep_for(limit: Duration) -> Result<()> {
    sleep(after(limit)?)?.await;
    Ok(())
}

/// Waits for `future` until `end`; `None` if it has not ended by then.
///
/// # Errors
/// [`Error::ConfigError`] on a runtime without a timer.
pub(super) async fn until<F: Future>(
    end: Instant,
    mut future: Pin<&mut F>,
) -> Result<Option<F::Output>> {
    let mut timer = pin!(sleep(end)?);
    let ended = poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
    });
    Ok(ended.await)
}

/// tokio has no other way to ask a runtime whether it has a timer.
fn sleep(end: Instant) -> Result<Sleep> {
    catch_unwind(|| sleep_until(end)).map_err(|_| {
        Error::ConfigError(
            "a load needs a tokio runtime with its timer: build it with `enable_time`".into(),
        )
    })
}

#[cfg(all(test, not(cache_kit_model)))]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_without_a_timer_is_an_error() {
        let built = tokio::runtime::Builder::new_current_thread().build();
        let ended = built.map(|runtime| {
            runtime.block_on(async { until(after(Duration::MAX)?, pin!(async { 7 })).await })
        });
        assert!(matches!(ended, Ok(Err(Error::ConfigError(_)))), "{ended:?}");
    }

    #[test]
    fn outside_of_a_runtime_there_is_an_error() {
        let end = after(Duration::from_secs(1));
        assert!(matches!(end, Err(Error::ConfigError(_))), "{end:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_ends_in_time_is_passed_on() {
        let begun = Instant::now();
        let end = begun + Duration::from_secs(1);
        let never = until(end, pin!(std::future::pending::<()>())).await;
        assert!(matches!(never, Ok(None)));
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        assert!(matches!(until(end, pin!(async { 7 })).await, Ok(Some(7))));
    }
}
