//! [`Aside`]: what may block, such as reading a file.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::error::{Error, Result};

/// Runs what may block outside of the runtime's tasks, one call after the other. So one that hangs
/// costs one thread, and not one for every attempt to connect. Clones share this.
///
/// A mutex of tokio would give the next turn to the caller that has waited longest, whose runtime may
/// stand still.
#[derive(Clone, Default)]
pub(super) struct Aside(Arc<Turns>);

#[derive(Default)]
struct Turns {
    taken: AtomicBool,
    free: Notify,
}

impl Aside {
    /// Waits for the calls before, and runs `work`. A caller that goes away leaves it running.
    pub(super) async fn run<O: Send + 'static>(
        &self,
        what: &str,
        work: impl FnOnce() -> Result<O> + Send + 'static,
    ) -> Result<O> {
        loop {
            // Made before the look, so that it hears of a turn that ends in between.
            let free = self.0.free.notified();
            if !self.0.taken.swap(true, Ordering::AcqRel) {
                break;
            }
            free.await;
        }
        let turn = Turn(Arc::clone(&self.0));
        let working = tokio::task::spawn_blocking(move || {
            // It ends with the work, not with the caller.
            let _turn = turn;
            work()
        });
        working.await.unwrap_or_else(|_| {
            Err(Error::BackendError(format!(
                "redis: asking for {what} panicked, or its runtime has ended"
            )))
        })
    }
}

struct Turn(Arc<Turns>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.taken.store(false, Ordering::Release);
        self.0.free.notify_waiters();
    }
}

impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one at a time")
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test says what it expects by unwrapping"
    )]

    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::Poll;
    use std::time::Duration;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_caller_that_stands_still_does_not_keep_its_turn() {
        let aside = Aside::default();
        let (release, held) = mpsc::channel::<()>();
        let first = {
            let aside = aside.clone();
            tokio::spawn(async move {
                let work = move || {
                    let _ = held.recv();
                    Ok(())
                };
                aside.run("the first", work).await
            })
        };
        while !aside.0.taken.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
        let mut still = pin!(aside.run("one that is not polled again", || Ok(())));
        let waits = poll_fn(|cx| Poll::Ready(still.as_mut().poll(cx).is_pending())).await;
        assert!(waits);
        drop(release);
        first.await.unwrap().unwrap();
        let third = aside.run("the third", || Ok(()));
        tokio::time::timeout(LIMIT, third).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_panic_ends_its_turn() {
        let aside = Aside::default();
        let failed = aside
            .run::<()>("a panic", || std::panic::panic_any("told to"))
            .await;
        assert!(failed.unwrap_err().to_string().contains("panicked"));
        let next = aside.run("the next", || Ok(7));
        assert_eq!(tokio::time::timeout(LIMIT, next).await.unwrap().unwrap(), 7);
    }
}
