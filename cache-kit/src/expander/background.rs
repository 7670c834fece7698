//! [`Background`]: bounds the tasks of one service, and ends them.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::timer;

/// How many tasks a service has at most, unless it says otherwise.
const TASKS: usize = 1_024;

/// Added to the number of tasks when no more may begin.
const CLOSED: usize = 1 << (usize::BITS - 1);

pub(super) struct Background {
    /// How many tasks there are, and [`CLOSED`].
    tasks: AtomicUsize,
    most: usize,
    /// Tells all tasks to end. Each has a receiver, so the end of the last one shows.
    end: watch::Sender<bool>,
}

impl Background {
    pub(super) fn new() -> Self {
        Self::bounded(TASKS)
    }

    /// With at most `most` tasks at a time.
    pub(super) fn bounded(most: usize) -> Self {
        Self {
            tasks: AtomicUsize::new(0),
            most: most.min(CLOSED - 1),
            end: watch::Sender::new(false),
        }
    }

    /// How many tasks there are.
    pub(super) fn len(&self) -> usize {
        self.tasks.load(Ordering::Acquire) & !CLOSED
    }

    /// A place for one more task, unless there are too many, or they have been ended.
    pub(super) fn place(self: &Arc<Self>) -> Option<Place> {
        // Subscribed before it is counted, so that `drain` waits for it.
        let end = self.end.subscribe();
        let more = |tasks: usize| (tasks < self.most).then_some(tasks + 1);
        let tasks = &self.tasks;
        tasks
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .ok()?;
        Some(Place {
            end,
            background: Arc::clone(self),
        })
    }

    /// Lets no more tasks begin, and waits for those that there are. After `deadline` they are ended.
    ///
    /// # Errors
    /// [`Error::Timeout`] if tasks had to be ended; [`Error::ConfigError`] on a runtime without a
    /// timer.
    pub(super) async fn drain(&self, deadline: Duration) -> Result<()> {
        const DRAINING: &str = "draining";
        self.tasks.fetch_or(CLOSED, Ordering::AcqRel);
        timer::runtime(DRAINING)?;
        let late = timer::sleep(timer::after(deadline), DRAINING)?;
        if first(self.end.closed(), late).await.is_some() {
            return Ok(());
        }
        let left = self.len();
        self.end.send_replace(true);
        Err(Error::Timeout(format!(
            "{left} loads and refreshes did not end within {deadline:?} and were given up"
        )))
    }
}

/// A place among the tasks of a service.
pub(super) struct Place {
    background: Arc<Background>,
    end: watch::Receiver<bool>,
}

impl Place {
    /// Runs `work` in a task, until it ends or all tasks are ended.
    pub(super) fn run(mut self, runtime: &Handle, work: impl Future<Output = ()> + Send + 'static) {
        runtime.spawn(async move {
            first(work, self.end.wait_for(|end| *end)).await;
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.background.tasks.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The output of `work`, unless `other` ends first.
async fn first<F: Future>(work: F, other: impl Future) -> Option<F::Output> {
    let (mut work, mut other) = (pin!(work), pin!(other));
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => other.as_mut().poll(cx).map(|_| None),
    })
    .await
}

#[cfg(all(test, not(cache_kit_model)))]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn there_are_no_more_tasks_than_allowed_and_each_gives_its_place_back() {
        let background = Arc::new(Background::bounded(2));
        let (release, held) = oneshot::channel::<()>();
        let first = background.place();
        let second = background.place();
        assert!(background.place().is_none());
        if let Some(place) = first {
            place.run(&Handle::current(), async {
                let _ = held.await;
            });
        }
        drop(second);
        assert_eq!(background.len(), 1);
        assert!(release.send(()).is_ok());
        assert!(background.drain(Duration::from_secs(1)).await.is_ok());
        assert_eq!(background.len(), 0);
        assert!(background.place().is_none(), "it has been drained");
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_in_time_is_ended() {
        let background = Arc::new(Background::new());
        let (kept, gone) = oneshot::channel::<()>();
        if let Some(place) = background.place() {
            place.run(&Handle::current(), async move {
                let _kept = kept;
                pending::<()>().await;
            });
        }
        let late = background.drain(Duration::from_secs(5)).await;
        assert!(
            matches!(&late, Err(Error::Timeout(said)) if said.contains("1 load")),
            "{late:?}"
        );
        assert!(gone.await.is_err(), "the task has been dropped");
        assert!(background.drain(Duration::from_secs(5)).await.is_ok());
    }

    #[test]
    fn a_runtime_that_ends_gives_the_places_back() {
        let background = Arc::new(Background::bounded(1));
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        if let (Ok(runtime), Some(place)) = (runtime, background.place()) {
            place.run(runtime.handle(), pending());
            assert_eq!(background.len(), 1);
        }
        assert!(background.place().is_some());
    }
}
