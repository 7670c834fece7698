//! One load from the repository: its retries, its deadline, its panics.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result};
use crate::policy::backoff;
use crate::unwind::polled;

use super::timer::{self, sleep_for};

/// The result of a load, and its time.
pub(super) struct Fetched<O> {
    pub(super) value: O,
    /// When the successful try began. The row was read no earlier, so an entry never outlives its
    /// time to live.
    pub(super) created: Timestamp,
    /// How long that try took.
    pub(super) took: Duration,
}

/// Calls `load` until it succeeds, fails with an error that is not retryable, or has been retried
/// `retries` times, all within `deadline`. `retried` gets the number of every retry.
pub(super) async fn load_with_retries<O, L>(
    load: impl Fn() -> L,
    retries: u32,
    deadline: Duration,
    clock: &Clock,
    retried: impl Fn(u32),
) -> Result<Fetched<O>>
where
    L: Future<Output = Result<O>>,
{
    let tries = async {
        let mut retry = 0;
        loop {
            let (created, since) = (clock.now(), Instant::now());
            match load().await {
                Ok(value) => {
                    return Ok(Fetched {
                        value,
                        created,
                        took: clock.elapsed(created, since),
                    });
                }
                Err(error) if error.is_retryable() && retry < retries => {
                    sleep_for(backoff(retry, fastrand::f64())).await?;
                    retry += 1;
                    retried(retry);
                }
                Err(error) => return Err(error),
            }
        }
    };
    let end = timer::after(deadline)?;
    let in_time = pin!(polled(tries));
    match timer::until(end, in_time).await? {
        Some(Ok(end)) => end,
        Some(Err(panic)) => Err(Error::Panicked(panic)),
        None => Err(Error::Timeout(format!("no answer within {deadline:?}"))),
    }
}
