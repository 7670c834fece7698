//! [`Gather`]: look-ups of many callers that travel in one command.
//!
//! A store, its connection and the scheduler handle a command for many keys at little more than the
//! cost of one for a single key. So where many callers ask at a time, they travel together. A caller
//! that finds few others goes alone: waiting for company would only add latency.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;

use super::bytes::ByteStore;
use super::guard::Guard;
use crate::error::{Error, Result};
use crate::together::behind_the_others;

/// What a store has under a key.
type Value = Option<Vec<u8>>;

pub(super) struct Gather<S> {
    guard: Guard<S>,
    /// Callers who have no answer yet.
    under_way: AtomicUsize,
    /// Keys of large values, which travel alone.
    large: Large,
    /// Shared with the tasks that fetch for those who wait.
    stop: Arc<Stop>,
}

/// Where callers wait for company: with those of their own runtime. The task that fetches for them
/// runs there, and may never run again while another runtime does.
#[derive(Default)]
struct Stop(Mutex<Vec<Crowd>>);

struct Crowd {
    runtime: Id,
    waiting: Vec<Waiting>,
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
            large: Large::default(),
            stop: Arc::default(),
        }
    }

    /// The value under `key`. Both ways are boxed: a hit has room for one of them only.
    pub(super) async fn get(&self, key: &str) -> Result<Value> {
        let others = self.under_way.fetch_add(1, Ordering::Relaxed);
        let _caller = Caller(&self.under_way);
        let value = if others >= S::LOOK_UPS_ALONE
            && !self.large.has(key)
            && let Some(answer) = self.join(key)
        {
            Box::pin(self.wait(answer)).await
        } else {
            let get = || self.guard.store().get(key);
            Box::pin(self.guard.run(key, get)).await
        };
        if let Ok(value) = &value {
            self.large.note(key, value.as_ref().map_or(0, Vec::len));
        }
        value
    }

    /// Waits with the others of this runtime.
    fn join(&self, key: &str) -> Option<oneshot::Receiver<Result<Value>>> {
        let runtime = Handle::try_current().ok()?;
        let here = runtime.id();
        let (sender, answer) = oneshot::channel();
        let waiting = Waiting {
            key: key.into(),
            answer: sender,
        };
        let mut crowds = self.stop.lock();
        let place = crowds.iter().position(|crowd| crowd.runtime == here);
        let place = place.unwrap_or_else(|| {
            crowds.push(Crowd {
                runtime: here,
                waiting: Vec::new(),
            });
            crowds.len() - 1
        });
        let crowd = &mut crowds[place].waiting;
        crowd.push(waiting);
        let first = crowd.len() == 1;
        let full = (crowd.len() >= S::KEYS_AT_ONCE).then(|| mem::take(crowd));
        // A task may be dropped as it is spawned, and what it does then takes the lock.
        drop(crowds);
        if first {
            let departure = Departure(Some((self.stop.clone(), here)));
            runtime.spawn(depart(self.guard.clone(), departure));
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
    behind_the_others().await;
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

/// The one task that takes away those who wait on a runtime. If the runtime drops it before, they
/// have an error.
struct Departure(Option<(Arc<Stop>, Id)>);

impl Departure {
    fn take(mut self) -> Vec<Waiting> {
        let stop = self.0.take();
        stop.map_or_else(Vec::new, |(stop, runtime)| stop.take(runtime))
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        if let Some((stop, runtime)) = self.0.take() {
            // Wakes those who waited, outside of the lock.
            drop(stop.take(runtime));
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
    fn lock(&self) -> MutexGuard<'_, Vec<Crowd>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All who wait on a runtime.
    fn take(&self, runtime: Id) -> Vec<Waiting> {
        let mut crowds = self.lock();
        let place = crowds.iter().position(|crowd| crowd.runtime == runtime);
        place.map_or_else(Vec::new, |place| crowds.swap_remove(place).waiting)
    }
}

/// A value of so many bytes takes as long as many look-ups. Whoever travels with it would wait for it.
const LARGE: usize = 64 << 10;

/// Of so many large values the keys are remembered.
const REMEMBERED: usize = 1_024;

/// Keys under which the last look-up found a large value. The first look-up of one delays those who
/// travel with it; later ones travel alone.
#[derive(Default)]
struct Large {
    /// How many there are. Nearly always none, and then nobody takes the lock.
    count: AtomicUsize,
    /// Their hashes. Of two keys with one hash, the other travels alone for nothing.
    keys: Mutex<HashSet<u64>>,
    hasher: RandomState,
}

impl Large {
    fn has(&self, key: &str) -> bool {
        self.count.load(Ordering::Relaxed) > 0 && self.lock().contains(&self.hasher.hash_one(key))
    }

    /// Notes how large the value was that has been found under `key`.
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
