//! [`within`]: a cheap deadline.
//!
//! `tokio::time::timeout` registers a timer for every command and removes it again, both under the
//! one lock of the runtime's timers. That costs half as much as all that a hit of a remote store
//! does besides its command. Moving the deadline of an existing timer needs no lock, so the timers
//! of commands that have ended are kept for the next ones.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Id;
use tokio::time::{Instant, Sleep};

use crate::error::{Error, Result};
use crate::timer;

/// How many timers a thread keeps.
const KEPT: usize = 256;

/// What the deadline is for.
const A_STORE: &str = "a remote store";

/// A timer, and the runtime that it works on.
struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    runtime: Id,
}

/// The timers that are not in use, all of one runtime.
struct Idle {
    runtime: Option<Id>,
    timers: Vec<Pin<Box<Sleep>>>,
    /// A runtime that is known to have no timers, so that it is not tried again.
    without: Option<Id>,
}

thread_local! {
    static IDLE: RefCell<Idle> = const {
        RefCell::new(Idle { runtime: None, timers: Vec::new(), without: None })
    };
}

/// Waits for `command`, for as long as `limit`.
///
/// # Errors
/// [`Error::Timeout`] if it has not ended by then, and [`Error::ConfigError`] outside of a runtime.
pub(super) async fn within<O>(
    limit: Duration,
    command: Pin<&mut impl Future<Output = Result<O>>>,
) -> Result<O> {
    let runtime = timer::runtime(A_STORE)?.id();
    within_on(runtime, limit, command).await
}

/// As [`within`], on the caller's `runtime`.
pub(super) async fn within_on<O>(
    runtime: Id,
    limit: Duration,
    mut command: Pin<&mut impl Future<Output = Result<O>>>,
) -> Result<O> {
    let mut timer = Timer::new(runtime, limit)?;
    poll_fn(|cx| match command.as_mut().poll(cx) {
        Poll::Pending => timer.poll(cx).map(|()| {
            Err(Error::Timeout(format!(
                "no answer of the store within {limit:?}"
            )))
        }),
        ended => ended,
    })
    .await
}

/// Waits for `time`.
///
/// # Errors
/// As [`within`], except the timeout.
pub(super) async fn pause(time: Duration) -> Result<()> {
    let runtime = timer::runtime(A_STORE)?.id();
    let mut timer = Timer::new(runtime, time)?;
    poll_fn(|cx| timer.poll(cx)).await;
    Ok(())
}

/// A new timer. Where a runtime has no timers, tokio panics and gives no other sign.
fn new_sleep(end: Instant, runtime: Id) -> Result<Pin<Box<Sleep>>> {
    let without = |idle: &RefCell<Idle>| idle.borrow().without == Some(runtime);
    if IDLE.try_with(without) == Ok(true) {
        return Err(timer::no_timer(A_STORE));
    }
    let sleep = timer::sleep(end, A_STORE).map(Box::pin);
    sleep.inspect_err(|_| {
        let _ = IDLE.try_with(|idle| idle.borrow_mut().without = Some(runtime));
    })
}

impl Timer {
    fn new(runtime: Id, limit: Duration) -> Result<Self> {
        let kept = IDLE.try_with(|idle| {
            let mut idle = idle.borrow_mut();
            (idle.runtime == Some(runtime)).then(|| idle.timers.pop())?
        });
        let end = timer::after(limit);
        let sleep = match kept.ok().flatten() {
            Some(mut sleep) => {
                sleep.as_mut().reset(end);
                sleep
            }
            None => new_sleep(end, runtime)?,
        };
        Ok(Self {
            sleep: Some(sleep),
            runtime,
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let Some(sleep) = self.sleep.take() else {
            return;
        };
        // A timer that is not kept is dropped outside of the borrow. A thread that ends keeps none.
        let dropped = IDLE.try_with(|idle| {
            let mut idle = idle.borrow_mut();
            let mut others = Vec::new();
            if idle.runtime != Some(self.runtime) {
                idle.runtime = Some(self.runtime);
                others = std::mem::take(&mut idle.timers);
            }
            if idle.timers.len() < KEPT {
                idle.timers.push(sleep);
            } else {
                others.push(sleep);
            }
            others
        });
        drop(dropped);
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test says what it expects by unwrapping"
    )]

    use std::future::{pending, ready};
    use std::pin::pin;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(500);

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
    }

    async fn rings_after(limit: Duration) -> Duration {
        let begun = Instant::now();
        let ended = within(limit, pin!(pending::<Result<()>>())).await;
        assert!(matches!(ended, Err(Error::Timeout(_))));
        begun.elapsed()
    }

    fn kept() -> usize {
        IDLE.with_borrow(|idle| idle.timers.len())
    }

    #[test]
    fn a_command_ends_at_its_deadline_with_a_new_timer_and_with_a_kept_one() {
        runtime().block_on(async {
            for _ in 0..3 {
                assert_eq!(rings_after(LIMIT).await, LIMIT);
                assert_eq!(kept(), 1);
            }
        });
    }

    #[test]
    fn a_kept_timer_takes_any_other_deadline() {
        runtime().block_on(async {
            for limit in [500, 20, 3_000, 1].map(Duration::from_millis) {
                assert_eq!(rings_after(limit).await, limit);
            }
            assert_eq!(kept(), 1);
        });
    }

    #[test]
    fn what_ends_in_time_is_passed_on_and_its_timer_wakes_no_task() {
        runtime().block_on(async {
            let ended = within(LIMIT, pin!(ready(Ok(7)))).await;
            assert_eq!(ended.unwrap(), 7);
            tokio::time::sleep(LIMIT - Duration::from_millis(1)).await;
            assert_eq!(rings_after(LIMIT).await, LIMIT);
        });
    }

    #[test]
    fn a_timer_of_a_runtime_that_is_gone_is_not_used() {
        for _ in 0..3 {
            runtime().block_on(async {
                assert_eq!(rings_after(LIMIT).await, LIMIT);
                assert_eq!(kept(), 1);
            });
        }
    }

    #[test]
    fn many_at_once_all_ring_and_not_all_are_kept() {
        runtime().block_on(async {
            let mut waiting = tokio::task::JoinSet::new();
            for _ in 0..KEPT + 10 {
                waiting.spawn(rings_after(LIMIT));
            }
            while let Some(after) = waiting.join_next().await {
                assert_eq!(after.unwrap(), LIMIT);
            }
            assert_eq!(kept(), KEPT);
        });
    }

    #[test]
    fn the_longest_duration_is_a_deadline_too() {
        runtime().block_on(async {
            let ended = within(Duration::MAX, pin!(ready(Ok(7)))).await;
            assert_eq!(ended.unwrap(), 7);
        });
    }

    #[test]
    fn without_a_timer_there_is_an_error_each_time() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            for _ in 0..3 {
                let ended = within(LIMIT, pin!(ready(Ok(())))).await;
                assert!(matches!(ended, Err(Error::ConfigError(_))), "{ended:?}");
            }
        });
        // Another runtime on the same thread has its own.
        self::runtime().block_on(async { assert_eq!(rings_after(LIMIT).await, LIMIT) });
    }

    #[test]
    fn without_a_runtime_there_is_an_error() {
        let command = pin!(ready(Ok(())));
        let mut waiting = pin!(within(LIMIT, command));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(ended) = waiting.as_mut().poll(&mut cx) else {
            unreachable!("nothing to wait for");
        };
        assert!(matches!(ended, Err(Error::ConfigError(_))));
    }
}
