//! The deadlines of a load.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Result;
use crate::timer;

/// What the deadline is for.
const A_LOAD: &str = "a load";

/// The moment at which `limit` has passed.
///
/// # Errors
/// [`Error::ConfigError`](crate::Error::ConfigError) outside of a runtime.
pub(super) fn after(limit: Duration) -> Result<Instant> {
    timer::runtime(A_LOAD)?;
    Ok(timer::after(limit))
}

/// Waits for `limit`.
///
/// # Errors
/// [`Error::ConfigError`](crate::Error::ConfigError) on a runtime without a timer.
pub(super) async fn sleep_for(limit: Duration) -> Result<()> {
    timer::sleep(after(limit)?, A_LOAD)?.await;
    Ok(())
}

/// Waits for `future` until `end`; `None` if it has not ended by then.
///
/// # Errors
/// [`Error::ConfigError`](crate::Error::ConfigError) on a runtime without a timer.
pub(super) async fn until<F: Future>(
    end: Instant,
    mut future: Pin<&mut F>,
) -> Result<Option<F::Output>> {
    let mut timer = pin!(timer::sleep(end, A_LOAD)?);
    let ended = poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
    });
    Ok(ended.await)
}

#[cfg(all(test, not(cache_kit_model)))]
mod tests {
    use super::*;
    use crate::error::Error;

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
