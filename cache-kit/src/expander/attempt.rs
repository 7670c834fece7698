//! One load from the repository: its retries, its deadline, its panics.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::policy::backoff;

/// Calls `load` until it succeeds, fails with what is not retryable, or has been retried
/// `retries` times, all within `deadline`. `retried` is told the number of every retry.
pub(super) async fn attempt<O, L>(
    load: impl Fn() -> L,
    retries: u32,
    deadline: Duration,
    retried: impl Fn(u32),
) -> Result<O>
where
    L: Future<Output = Result<O>>,
{
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(Error::ConfigError(
            "a load needs a tokio runtime around it, for its deadline".into(),
        ));
    }
    let tries = async {
        let mut retry = 0;
        loop {
            match load().await {
                Err(error) if error.is_retryable() && retry < retries => {
                    tokio::time::sleep(backoff(retry, fastrand::f64())).await;
                    retry += 1;
                    retried(retry);
                }
                end => return end,
            }
        }
    };
    let in_time = async { tokio::time::timeout(deadline, tries).await };
    match caught(in_time).await {
        Ok(Ok(end)) => end,
        Ok(Err(_)) => Err(Error::Timeout(format!("no answer within {deadline:?}"))),
        Err(panic) => Err(Error::Panicked(panic)),
    }
}

/// Runs `future`; a panic inside it becomes its message.
async fn caught<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        // The future is not polled again after a panic, so nobody sees what it left half-done.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(payload) => Poll::Ready(Err(message(&*payload))),
        }
    })
    .await
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
        .to_owned()
}
