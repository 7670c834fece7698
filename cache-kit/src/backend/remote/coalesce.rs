//! [`Coalescer`]: sends the look-ups of many callers in one command.
//!
//! A store, its connection and the scheduler handle a command for many keys at little more than the
//! cost of one for a single key. So concurrent look-ups are sent together. With few look-ups in
//! flight, each is sent at once: waiting for a batch would only add latency.

mod batch;
mod large;

use std::mem;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Handle, Id};

use batch::{Answer, Batch};
use large::Large;

use super::byte_store::ByteStore;
use super::resilience::GuardedStore;
use crate::error::Result;
use crate::together::behind_the_others;

/// What a store has under a key.
type Value = Option<Vec<u8>>;

pub(super) struct Coalescer<S> {
    store: GuardedStore<S>,
    /// How many callers have no answer yet.
    under_way: AtomicUsize,
    /// Keys of large values, which are sent alone.
    large: Large,
    /// Shared with the tasks that fetch for the callers.
    queue: Arc<Queue>,
}

/// The batches that callers can still join.
#[derive(Default)]
struct Queue(Mutex<Vec<(Group, Batch)>>);

/// Which callers wait together: those of one runtime, since a task of another one might stand still
/// while this runtime goes on, and of one node, since another one may not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group {
    runtime: Id,
    node: usize,
}

impl<S: ByteStore> Coalescer<S> {
    pub(super) fn new(store: GuardedStore<S>) -> Self {
        Self {
            store,
            under_way: AtomicUsize::new(0),
            large: Large::default(),
            queue: Arc::default(),
        }
    }

    /// The value under `key`. The long branch is boxed, so that the future stays small.
    pub(super) async fn get(&self, key: &str) -> Result<Value> {
        let others = self.under_way.fetch_add(1, Ordering::Relaxed);
        let _caller = Caller(&self.under_way);
        let value = if others >= self.store.limits().single_gets
            && !self.large.has(key)
            && let Some((runtime, answer)) = self.join(key)
        {
            // Another task fetches it, whose thread may be blocked.
            self.store.within_deadline(runtime, pin!(answer)).await
        } else {
            Box::pin(self.store.get(key)).await
        };
        if let Ok(value) = &value {
            self.large.note(key, value.as_ref().map_or(0, Vec::len));
        }
        value
    }

    /// Joins the callers of this node on this runtime; `None` outside of a runtime.
    fn join(&self, key: &str) -> Option<(Id, Answer)> {
        let runtime = Handle::try_current().ok()?;
        let group = Group {
            runtime: runtime.id(),
            node: self.store.inner().node_of(key),
        };
        let mut batches = self.queue.lock();
        let place = batches.iter().position(|(of, _)| *of == group);
        let place = place.unwrap_or_else(|| {
            batches.push((group, Batch::default()));
            batches.len() - 1
        });
        let batch = &mut batches[place].1;
        let answer = batch.join(key);
        let callers = batch.len();
        let full = (callers >= self.store.limits().keys_per_command).then(|| mem::take(batch));
        // A task may be dropped as it is spawned, and its `Drop` takes the lock.
        drop(batches);
        if callers == 1 {
            let task = FlushTask(Some((self.queue.clone(), group)));
            runtime.spawn(flush(self.store.clone(), task));
        }
        if let Some(full) = full {
            runtime.spawn(fetch(self.store.clone(), full));
        }
        Some((group.runtime, answer))
    }
}

/// Lets everything that is ready run, and then fetches for all callers.
async fn flush<S: ByteStore>(store: GuardedStore<S>, task: FlushTask) {
    behind_the_others().await;
    fetch(store, task.take()).await;
}

/// Fetches for all of `batch`, except callers that have gone.
async fn fetch<S: ByteStore>(store: GuardedStore<S>, batch: Batch) {
    let (places, keys) = batch.waiting();
    if !keys.is_empty() {
        let values = store.get_many(&keys, 0).await;
        batch.answer(&places, values);
    }
}

/// Held by the one task that fetches for the callers of a group. If the runtime drops the task
/// first, they get an error.
struct FlushTask(Option<(Arc<Queue>, Group)>);

impl FlushTask {
    fn take(mut self) -> Batch {
        let queue = self.0.take();
        queue.map_or_else(Batch::default, |(queue, group)| queue.take(group))
    }
}

impl Drop for FlushTask {
    fn drop(&mut self) {
        if let Some((queue, group)) = self.0.take() {
            // Wakes the callers, outside of the lock.
            drop(queue.take(group));
        }
    }
}

/// Counts as in flight while it lives.
struct Caller<'g>(&'g AtomicUsize);

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Vec<(Group, Batch)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the batch of a group.
    fn take(&self, group: Group) -> Batch {
        let mut batches = self.lock();
        let place = batches.iter().position(|(of, _)| *of == group);
        place.map_or_else(Batch::default, |place| batches.swap_remove(place).1)
    }
}
