//! [`Pulse`]: shows whether a leader is polled.
//!
//! A future that was woken and is not polled for a second belongs to a task that does something
//! else: the task waits in another branch of a `select!`, or the future is in a stream whose
//! consumer does not read. The flight that it leads would never end. A future that has not been
//! woken has a reason to wait and does not count as stalled: its own deadlines end it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use tokio::time::Instant;

/// A caller that was woken this long ago, and has not been polled since, has stalled. Long enough
/// to tolerate a busy thread or a busy machine.
pub(crate) const STALLED: Duration = Duration::from_secs(1);

/// A leader that was woken and has not been polled since.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unpolled {
    /// Stands for the wake. The same at two looks if the leader was not polled in between.
    pub(crate) woken: u64,
    /// How long ago it was woken.
    pub(crate) since: Duration,
}

/// Shows whether a leader is polled.
#[derive(Debug)]
pub(crate) struct Pulse {
    origin: Instant,
    /// When it was first woken since its last poll, in milliseconds since `origin` plus one; 0 if
    /// it was not.
    woken: AtomicU64,
}

impl Pulse {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            origin: Instant::now(),
            woken: AtomicU64::new(0),
        })
    }

    /// The value for a caller that is woken now.
    pub(crate) fn of_woken() -> Arc<Self> {
        let pulse = Self::new();
        pulse.woke();
        pulse
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    /// The wake after which it has not been polled, if there was one.
    pub(super) fn unpolled(&self) -> Option<Unpolled> {
        let woken = self.woken.load(Ordering::Acquire);
        let since = Duration::from_millis(self.now().saturating_sub(woken));
        (woken != 0).then_some(Unpolled { woken, since })
    }

    fn polled(&self) {
        self.woken.store(0, Ordering::Release);
    }

    fn woke(&self) {
        // A later wake changes nothing.
        let _ = self
            .woken
            .compare_exchange(0, self.now(), Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// Runs `future`, and shows in `pulse` whether it is polled.
pub(crate) async fn beating<F: Future>(pulse: &Arc<Pulse>, mut future: Pin<&mut F>) -> F::Output {
    let mut waker: Option<(Arc<Beat>, Waker)> = None;
    poll_fn(|cx| {
        pulse.polled();
        let (beat, waker) = waker.get_or_insert_with(|| {
            let beat = Arc::new(Beat {
                pulse: Arc::clone(pulse),
                task: Mutex::new(cx.waker().clone()),
            });
            (Arc::clone(&beat), Waker::from(beat))
        });
        beat.belongs_to(cx.waker());
        let polled = future.as_mut().poll(&mut Context::from_waker(waker));
        if polled.is_ready() {
            // It never waits for anything that a follower holds.
            pulse.polled();
        }
        polled
    })
    .await
}

/// Wakes the task, and notes that it did.
struct Beat {
    pulse: Arc<Pulse>,
    task: Mutex<Waker>,
}

impl Beat {
    /// The future may be polled by a different task each time.
    fn belongs_to(&self, task: &Waker) {
        let replaced = {
            let mut known = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            if known.will_wake(task) {
                return;
            }
            std::mem::replace(&mut *known, task.clone())
        };
        drop(replaced);
    }
}

impl Wake for Beat {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.pulse.woke();
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        task.wake();
    }
}

#[cfg(all(test, not(cache_kit_model)))]
mod tests {
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_woken_and_not_polled_has_stopped() {
        let pulse = Pulse::new();
        let (wake, woken) = tokio::sync::oneshot::channel::<()>();
        let woken = pin!(woken);
        let mut future = pin!(beating(&pulse, woken));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut cx).is_pending());
        tokio::time::advance(STALLED * 10).await;
        assert!(pulse.unpolled().is_none(), "it waits for something");
        drop(wake);
        let woken = pulse.unpolled().map(|unpolled| unpolled.woken);
        tokio::time::advance(STALLED).await;
        let unpolled = pulse.unpolled();
        assert_eq!(unpolled.map(|unpolled| unpolled.woken), woken);
        assert_eq!(unpolled.map(|unpolled| unpolled.since), Some(STALLED));
        assert!(matches!(future.as_mut().poll(&mut cx), Poll::Ready(Err(_))));
        assert!(pulse.unpolled().is_none());
    }

    #[tokio::test]
    async fn the_task_of_the_last_poll_is_woken() {
        let pulse = Pulse::new();
        let (wake, woken) = tokio::sync::oneshot::channel::<u8>();
        let mut future = Box::pin(async move {
            let pulse = pulse;
            beating(&pulse, pin!(woken)).await
        });
        let mut cx = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut cx).is_pending());
        let task = tokio::spawn(future);
        tokio::task::yield_now().await;
        assert!(wake.send(7).is_ok());
        assert_eq!(task.await.ok().and_then(Result::ok), Some(7));
    }
}
