//! [`Gather`]: look-ups of many callers that travel in one command.
//!
//! A store, its connection and the scheduler handle a command for many keys at little more than the
//! cost of one for a single key. So where many callers ask at a time, they travel together. A caller
//! who finds few others goes alone, since he would only lose time by waiting for company.

use std::future::poll_fn;
use std::mem;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;

use super::bytes::ByteStore;
use super::guard::Guard;
use crate::error::{Error, Result};

/// What a store has under a key.
type Value = Option<Vec<u8>>;

pub(super) struct Gather<S> {
    guard: Guard<S>,
    /// Callers who have no answer yet.
    under_way: AtomicUsize,
    /// Shared with the task that fetches for those who wait.
    stop: Arc<Stop>,
}

/// Where callers wait for company.
#[derive(Default)]
struct Stop(Mutex<Crowd>);

#[derive(Default)]
struct Crowd {
    waiting: Vec<Waiting>,
    /// The runtime of all who wait, and of the task that will fetch for them. A caller from another
    /// one does not join: that task may never run again, while his own runtime does.
    runtime: Option<Id>,
}

struct Waiting {
    key: Box<str>,
    answer: oneshot::Sender<Result<Value>>,
}

impl<S: ByteStore> Gather<S> {
    pub(super) fn new(guard: Guard<S>) -> Self {
        Self {
            guard,
            under_way: AtomicUsize::new(0),
            stop: Arc::default(),
        }
    }

    /// The value under `key`. Both ways are boxed: a hit has room for one of them only.
    pub(super) async fn get(&self, key: &str) -> Result<Value> {
        let others = self.under_way.fetch_add(1, Ordering::Relaxed);
        let _caller = Caller(&self.under_way);
        if others >= S::LOOK_UPS_ALONE
            && let Some(answer) = self.join(key)
        {
            return Box::pin(self.wait(answer)).await;
        }
        Box::pin(self.guard.run(|| self.guard.store().get(key))).await
    }

    /// Waits with the others, if they are of this runtime.
    fn join(&self, key: &str) -> Option<oneshot::Receiver<Result<Value>>> {
        let runtime = Handle::try_current().ok()?;
        let here = Some(runtime.id());
        let mut crowd = self.stop.lock();
        if !crowd.waiting.is_empty() && crowd.runtime != here {
            return None;
        }
        crowd.runtime = here;
        let (sender, answer) = oneshot::channel();
        crowd.waiting.push(Waiting {
            key: key.into(),
            answer: sender,
        });
        let first = crowd.waiting.len() == 1;
        let full = (crowd.waiting.len() >= S::KEYS_AT_ONCE).then(|| mem::take(&mut crowd.waiting));
        // A task may be dropped as it is spawned, and what it does then takes the lock.
        drop(crowd);
        if first {
            runtime.spawn(depart(
                self.guard.clone(),
                Departure(Some(self.stop.clone())),
            ));
        }
        if let Some(full) = full {
            runtime.spawn(fetch(self.guard.clone(), full));
        }
        Some(answer)
    }

    /// Waits for what another task fetches, but not for ever: its thread may be busy with something
    /// that blocks it.
    async fn wait(&self, answer: oneshot::Receiver<Result<Value>>) -> Result<Value> {
        let answer = async {
            let given_up = |_| Err(Error::BackendError("a look-up was given up".into()));
            answer.await.unwrap_or_else(given_up)
        };
        self.guard.within_deadline(pin!(answer)).await
    }
}

/// Lets everything run that is ready, and fetches for all who wait by then.
async fn depart<S: ByteStore>(guard: Guard<S>, departure: Departure) {
    let mut behind_the_others = false;
    // Not `yield_now`: that parks the task where only this thread finds it.
    poll_fn(|cx| {
        if mem::replace(&mut behind_the_others, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    fetch(guard, departure.take()).await;
}

/// Fetches for all of `crowd` but those who have gone.
async fn fetch<S: ByteStore>(guard: Guard<S>, mut crowd: Vec<Waiting>) {
    crowd.retain(|it| !it.answer.is_closed());
    if crowd.is_empty() {
        return;
    }
    let keys: Vec<&str> = crowd.iter().map(|it| &*it.key).collect();
    let get = |keys: Vec<_>| {
        let guard = &guard;
        async move { guard.store().get_many(&keys).await }
    };
    let values = guard.run_many(&keys, get).await;
    for (it, value) in crowd.into_iter().zip(values) {
        // Who has gone needs no answer.
        let _ = it.answer.send(value);
    }
}

/// The one task that takes away those who wait. If its runtime drops it before, they have an error.
struct Departure(Option<Arc<Stop>>);

impl Departure {
    fn take(mut self) -> Vec<Waiting> {
        let stop = self.0.take();
        stop.map_or_else(Vec::new, |stop| mem::take(&mut stop.lock().waiting))
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        if let Some(stop) = self.0.take() {
            let given_up = mem::take(&mut stop.lock().waiting);
            // Wakes those who waited, outside of the lock.
            drop(given_up);
        }
    }
}

/// Counts as under way.
struct Caller<'g>(&'g AtomicUsize);

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stop {
    fn lock(&self) -> MutexGuard<'_, Crowd> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
