//! [`Coalescer`]: sends the look-ups of many callers in one command.
//!
//! A store, its connection and the scheduler handle a command for many keys at little more than the
//! cost of one for a single key. So concurrent look-ups are sent together. With few look-ups in
//! flight, each is sent at once: waiting for a batch would only add latency.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;

use super::byte_store::ByteStore;
use super::resilience::GuardedStore;
use crate::error::{Error, Result};
use crate::together::behind_the_others;

/// What a store has under a key.
type Value = Option<Vec<u8>>;

pub(super) struct Coalescer<S> {
    store: GuardedStore<S>,
    /// How many callers have no answer yet.
    under_way: AtomicUsize,
    /// Keys of large values, which are sent alone.
    large: Large,
    /// Shared with the tasks that fetch for the waiters.
    queue: Arc<Queue>,
}

/// The waiting callers.
#[derive(Default)]
struct Queue(Mutex<Vec<Batch>>);

/// Which callers wait together: those of one runtime, since a task of another one might stand still
/// while this runtime goes on, and of one node, since another one may not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group {
    runtime: Id,
    node: usize,
}

struct Batch {
    group: Group,
    waiting: Vec<Waiting>,
}

struct Waiting {
    key: Box<str>,
    answer: oneshot::Sender<Result<Value>>,
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

    /// The value under `key`. Both branches are boxed, so that the future of a hit stays small.
    pub(super) async fn get(&self, key: &str) -> Result<Value> {
        let others = self.under_way.fetch_add(1, Ordering::Relaxed);
        let _caller = Caller(&self.under_way);
        let value = if others >= self.store.limits().single_gets
            && !self.large.has(key)
            && let Some(answer) = self.join(key)
        {
            Box::pin(self.wait(answer)).await
        } else {
            Box::pin(self.store.get(key)).await
        };
        if let Ok(value) = &value {
            self.large.note(key, value.as_ref().map_or(0, Vec::len));
        }
        value
    }

    /// Joins the waiters for this node on this runtime; `None` outside of a runtime.
    fn join(&self, key: &str) -> Option<oneshot::Receiver<Result<Value>>> {
        let runtime = Handle::try_current().ok()?;
        let group = Group {
            runtime: runtime.id(),
            node: self.store.inner().node_of(key),
        };
        let (sender, answer) = oneshot::channel();
        let waiting = Waiting {
            key: key.into(),
            answer: sender,
        };
        let mut batches = self.queue.lock();
        let place = batches.iter().position(|batch| batch.group == group);
        let place = place.unwrap_or_else(|| {
            batches.push(Batch {
                group,
                waiting: Vec::new(),
            });
            batches.len() - 1
        });
        let batch = &mut batches[place].waiting;
        batch.push(waiting);
        let first = batch.len() == 1;
        let full = (batch.len() >= self.store.limits().keys_per_command).then(|| mem::take(batch));
        // A task may be dropped as it is spawned, and its `Drop` takes the lock.
        drop(batches);
        if first {
            let task = FlushTask(Some((self.queue.clone(), group)));
            runtime.spawn(flush(self.store.clone(), task));
        }
        if let Some(full) = full {
            runtime.spawn(fetch(self.store.clone(), full));
        }
        Some(answer)
    }

    /// Waits for the answer that another task fetches, within the deadline: its thread may be
    /// blocked.
    async fn wait(&self, answer: oneshot::Receiver<Result<Value>>) -> Result<Value> {
        let answer = async {
            let given_up = |_| Err(Error::BackendError("a look-up was given up".into()));
            answer.await.unwrap_or_else(given_up)
        };
        self.store.within_deadline(pin!(answer)).await
    }
}

/// Lets everything that is ready run, and then fetches for all waiters.
async fn flush<S: ByteStore>(store: GuardedStore<S>, task: FlushTask) {
    behind_the_others().await;
    fetch(store, task.take()).await;
}

/// Fetches for all of `batch`, except callers that have gone.
async fn fetch<S: ByteStore>(store: GuardedStore<S>, mut batch: Vec<Waiting>) {
    batch.retain(|waiting| !waiting.answer.is_closed());
    if batch.is_empty() {
        return;
    }
    let keys: Vec<&str> = batch.iter().map(|waiting| &*waiting.key).collect();
    let values = store.get_many(&keys).await;
    for (waiting, value) in batch.into_iter().zip(values) {
        // A caller that has gone needs no answer.
        let _ = waiting.answer.send(value);
    }
}

/// Held by the one task that fetches for the waiters of a group. If the runtime drops the task
/// first, the waiters get an error.
struct FlushTask(Option<(Arc<Queue>, Group)>);

impl FlushTask {
    fn take(mut self) -> Vec<Waiting> {
        let queue = self.0.take();
        queue.map_or_else(Vec::new, |(queue, group)| queue.take(group))
    }
}

impl Drop for FlushTask {
    fn drop(&mut self) {
        if let Some((queue, group)) = self.0.take() {
            // Wakes the waiters, outside of the lock.
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
    fn lock(&self) -> MutexGuard<'_, Vec<Batch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all waiters of a group.
    fn take(&self, group: Group) -> Vec<Waiting> {
        let mut batches = self.lock();
        let place = batches.iter().position(|batch| batch.group == group);
        place.map_or_else(Vec::new, |place| batches.swap_remove(place).waiting)
    }
}

/// From this size on, in bytes, a value takes as long as many look-ups and would delay the others
/// of its batch.
const LARGE: usize = 64 << 10;

/// How many keys of large values are remembered.
const REMEMBERED: usize = 1_024;

/// Keys under which the last look-up found a large value. The first look-up of such a key delays
/// its batch; later ones are sent alone.
#[derive(Default)]
struct Large {
    /// How many there are. It is nearly always 0, and then the lock is not taken.
    count: AtomicUsize,
    /// Their hashes. After a collision, the other key is sent alone without need.
    keys: Mutex<HashSet<u64>>,
    hasher: RandomState,
}

impl Large {
    fn has(&self, key: &str) -> bool {
        self.count.load(Ordering::Relaxed) > 0 && self.lock().contains(&self.hasher.hash_one(key))
    }

    /// Notes the size of the value that was found under `key`.
    fn note(&self, key: &str, bytes: usize) {
        if bytes < LARGE && self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let hash = self.hasher.hash_one(key);
        let mut keys = self.lock();
        if bytes < LARGE {
            keys.remove(&hash);
        } else if keys.len() < REMEMBERED {
            keys.insert(hash);
        }
        self.count.store(keys.len(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_large_values_are_known_until_they_are_small_again() {
        let large = Large::default();
        large.note("a", LARGE - 1);
        assert!(!large.has("a"));
        large.note("a", LARGE);
        assert!(large.has("a") && !large.has("b"));
        large.note("b", 0);
        large.note("a", 0);
        assert!(!large.has("a") && large.count.load(Ordering::Relaxed) == 0);
    }

    #[test]
    fn only_so_many_are_remembered() {
        let large = Large::default();
        for n in 0..2 * REMEMBERED {
            large.note(&n.to_string(), LARGE);
        }
        assert_eq!(large.lock().len(), REMEMBERED);
    }
}
