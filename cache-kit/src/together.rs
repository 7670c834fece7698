//! [`Together`]: polls futures concurrently, in one task.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Futures that run concurrently in one task. Each is polled only when it was woken itself, so that
/// waiting for a thousand costs a thousand polls and not a million.
pub(crate) struct Together<F: Future> {
    running: Vec<Option<Running<F>>>,
    left: usize,
    queue: Arc<Queue>,
}

struct Running<F> {
    future: Pin<Box<F>>,
    call: Arc<Call>,
    waker: Waker,
}

/// Wakes one of the futures.
struct Call {
    place: usize,
    /// Whether it is in the queue.
    queued: AtomicBool,
    queue: Arc<Queue>,
}

/// The indices of the futures that were woken.
#[derive(Default)]
struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    places: Vec<usize>,
    /// The task that waits for them.
    task: Option<Waker>,
}

impl<F: Future> Together<F> {
    pub(crate) fn new() -> Self {
        Self {
            running: Vec::new(),
            left: 0,
            queue: Arc::default(),
        }
    }

    /// Adds a future. Its index is the number of those that were added before it.
    pub(crate) fn push(&mut self, future: F) {
        let place = self.running.len();
        let call = Arc::new(Call {
            place,
            queued: AtomicBool::new(true),
            queue: Arc::clone(&self.queue),
        });
        self.queue.lock().places.push(place);
        self.running.push(Some(Running {
            future: Box::pin(future),
            waker: Waker::from(Arc::clone(&call)),
            call,
        }));
        self.left += 1;
    }

    /// Whether all have ended.
    pub(crate) fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Waits until at least one ends, and returns all that have ended by then, each with its index.
    pub(crate) async fn some(&mut self) -> Vec<(usize, F::Output)> {
        poll_fn(|cx| self.poll_some(cx)).await
    }

    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<Vec<(usize, F::Output)>> {
        // Futures that are woken from here on are polled the next time, so that the runtime gets
        // its turn.
        let places = self.queue.take(cx.waker());
        let mut ended = Vec::new();
        for place in places {
            let Some(slot) = self.running.get_mut(place) else {
                continue;
            };
            let Some(running) = slot else { continue };
            running.call.queued.store(false, Ordering::Release);
            let polled = running
                .future
                .as_mut()
                .poll(&mut Context::from_waker(&running.waker));
            if let Poll::Ready(output) = polled {
                *slot = None;
                self.left -= 1;
                ended.push((place, output));
            }
        }
        if ended.is_empty() && self.left > 0 {
            Poll::Pending
        } else {
            Poll::Ready(ended)
        }
    }
}

/// Lets everything that is ready run first. Unlike tokio's `yield_now` it wakes at once, so that
/// any thread may continue it.
pub(crate) async fn behind_the_others() {
    let mut went_behind = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut went_behind, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs `futures` concurrently, at most `limit` at a time, and returns their results in order.
#[cfg_attr(
    not(any(test, feature = "codec")),
    expect(dead_code, reason = "only remote stores have many commands under way")
)]
pub(crate) async fn join<F: Future>(
    futures: impl Iterator<Item = F>,
    limit: usize,
) -> Vec<F::Output> {
    join_up_to(futures, || limit).await
}

/// [`join`] with a limit that may change meanwhile. At least one runs at a time; each is made when it is
/// its turn.
pub(crate) async fn join_up_to<F: Future>(
    mut futures: impl Iterator<Item = F>,
    limit: impl Fn() -> usize,
) -> Vec<F::Output> {
    let mut outputs = Vec::with_capacity(futures.size_hint().0);
    let mut running = Together::new();
    loop {
        while running.left < limit().max(1)
            && let Some(next) = futures.next()
        {
            running.push(next);
            outputs.push(None);
        }
        if running.is_empty() {
            return outputs.into_iter().flatten().collect();
        }
        for (place, output) in running.some().await {
            outputs[place] = Some(output);
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the indices; from now on `task` is woken.
    fn take(&self, task: &Waker) -> Vec<usize> {
        let (places, replaced) = {
            let mut waiting = self.lock();
            let replaced = match &waiting.task {
                Some(known) if known.will_wake(task) => None,
                _ => waiting.task.replace(task.clone()),
            };
            (std::mem::take(&mut waiting.places), replaced)
        };
        // This is foreign code, so it runs outside of the lock.
        drop(replaced);
        places
    }
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let task = {
            let mut waiting = self.queue.lock();
            waiting.places.push(self.place);
            waiting.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(all(test, not(cache_kit_model)))]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[tokio::test]
    async fn join_keeps_order_and_the_limit() {
        let (under_way, most) = (Cell::new(0), Cell::new(0));
        let futures = (0..100_usize).map(|n| {
            let (under_way, most) = (&under_way, &most);
            async move {
                under_way.set(under_way.get() + 1);
                most.set(most.get().max(under_way.get()));
                for _ in 0..(100 - n) % 7 {
                    tokio::task::yield_now().await;
                }
                under_way.set(under_way.get() - 1);
                n
            }
        });
        let ended = join(futures, 10).await;
        assert_eq!(ended, (0..100).collect::<Vec<_>>());
        assert!((2..=10).contains(&most.get()), "{} at once", most.get());
        assert!(
            join(std::iter::empty::<std::future::Ready<()>>(), 10)
                .await
                .is_empty()
        );
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn only_those_that_are_woken_are_polled() {
        let polls = Arc::new(AtomicUsize::new(0));
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..500).map(|_| tokio::sync::oneshot::channel()).unzip();
        let mut together = Together::new();
        for receiver in receivers {
            // Otherwise tokio's cooperative budget makes some of them be polled again.
            let mut receiver = tokio::task::unconstrained(receiver);
            let polls = Arc::clone(&polls);
            together.push(poll_fn(move |cx| {
                polls.fetch_add(1, Ordering::AcqRel);
                Pin::new(&mut receiver).poll(cx)
            }));
        }
        let sends = tokio::spawn(async move {
            for (n, sender) in senders.into_iter().enumerate().rev() {
                sender.send(n).unwrap();
                tokio::task::yield_now().await;
            }
        });
        let mut ended = Vec::new();
        while !together.is_empty() {
            ended.extend(together.some().await);
        }
        sends.await.unwrap();
        assert_eq!(ended.len(), 500);
        assert!(ended.iter().all(|(place, n)| *n == Ok(*place)));
        let polls = polls.load(Ordering::Acquire);
        assert!(polls <= 1_000, "{polls} polls");
    }
}
