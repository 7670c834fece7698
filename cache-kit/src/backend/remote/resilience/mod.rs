//! Guards a cache against a store that is slow or unavailable: a deadline for every command, a
//! breaker, and a queue of the invalidations that have not reached the store.

mod again;
mod breaker;
mod health;
mod pending;
mod state;
mod tasks;
mod timer;
mod unconfirmed;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use super::byte_store::ByteStore;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::lease::Invalidated;
use crate::observability::{CacheEvent, CacheMetrics};
use crate::together::join;
use crate::unwind::caught;

use again::{
    Account, account_of_both, account_of_many, account_of_one, is_refusal, twice, twice_each,
};
pub(super) use breaker::BreakerPolicy;
pub use health::Health;
use pending::Way;
use state::State;
use timer::within;
use unconfirmed::Unconfirmed;

/// How many parts of a large batch of deletions are in flight at a time.
const PARTS_AT_ONCE: usize = 4;

/// How long the guard waits, and how much it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GuardPolicy {
    /// For one command, connecting included.
    pub(super) deadline: Duration,
    pub(super) breaker: BreakerPolicy,
    /// How many invalidations may wait.
    pub(super) pending_limit: usize,
    /// How long one that the store refuses is retried.
    pub(super) refused_patience: Duration,
    pub(super) lease_lifetime: Duration,
}

pub(super) struct Guard<S> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    store: S,
    policy: GuardPolicy,
    /// Time is counted from here: neither a wall clock nor a clock of tests decides how long a
    /// store is left alone.
    made: Instant,
    state: Mutex<State>,
    /// Whether `state` knows of any trouble. While this is `false`, which is nearly always, a
    /// command takes no lock.
    troubled: AtomicBool,
    listeners: Mutex<Vec<std::sync::Weak<dyn CacheMetrics>>>,
}

impl<S: ByteStore> Guard<S> {
    pub(super) fn new(store: S, policy: GuardPolicy) -> Self {
        Self {
            shared: Arc::new(Shared {
                store,
                policy,
                made: Instant::now(),
                state: Mutex::new(State::new(&policy)),
                troubled: AtomicBool::new(false),
                listeners: Mutex::default(),
            }),
        }
    }

    pub(super) fn store(&self) -> &S {
        &self.shared.store
    }

    /// Runs a command for `key`: within the deadline, if the breaker admits it, and after a queued
    /// invalidation of the key. It is sent once more if its connection is lost.
    ///
    /// # Errors
    /// [`Error::BackendRefused`] also while the store refuses to delete what is under `key`.
    pub(super) async fn run<O, F>(&self, key: &str, command: impl Fn() -> F) -> Result<O>
    where
        F: Future<Output = Result<O>>,
    {
        let first = match self.shared.is_troubled() {
            true => self.way(key)?,
            false => None,
        };
        let whole = async {
            if let Some(number) = first {
                // Boxed, to keep the future of a command small.
                Box::pin(self.shared.delete(vec![(key.into(), number)]))
                    .await
                    .pop()
                    .unwrap_or(Ok(()))?;
            }
            twice(&command).await
        };
        self.attempt(pin!(whole), account_of_one).await
    }

    /// [`run`](Self::run) for a command with many keys, each of which has its own answer.
    pub(super) async fn run_many<'k, O, F>(
        &self,
        keys: &[&'k str],
        command: impl Fn(Vec<&'k str>) -> F,
    ) -> Vec<Result<O>>
    where
        F: Future<Output = Vec<Result<O>>>,
    {
        if self.shared.is_troubled() {
            return Box::pin(self.run_in_trouble(keys, &command)).await;
        }
        let whole = async { Ok(twice_each(keys, &command).await) };
        let answers = self.attempt(pin!(whole), account_of_many).await;
        answers.unwrap_or_else(|error| for_each(keys, &error))
    }

    /// Keys with a queued invalidation are deleted first; those that the store refuses to delete
    /// are not looked up.
    async fn run_in_trouble<'k, O, F>(
        &self,
        keys: &[&'k str],
        command: &impl Fn(Vec<&'k str>) -> F,
    ) -> Vec<Result<O>>
    where
        F: Future<Output = Vec<Result<O>>>,
    {
        let mut withheld = vec![None; keys.len()];
        let mut first = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            match self.way(key) {
                Ok(None) => {}
                Ok(Some(number)) => first.push((place, number)),
                Err(error) => withheld[place] = Some(error),
            }
        }
        if withheld.iter().all(Option::is_some) {
            return withheld.into_iter().flatten().map(Err).collect();
        }
        let first_keys = first.iter().map(|(at, number)| (keys[*at].into(), *number));
        let first_keys: Vec<(Box<str>, u64)> = first_keys.collect();
        let whole = async {
            let deleted = match first_keys.is_empty() {
                true => Vec::new(),
                false => self.shared.delete(first_keys).await,
            };
            for ((place, _), deleted) in first.iter().zip(&deleted) {
                withheld[*place] = deleted.as_ref().err().cloned();
            }
            let asked = keys.iter().zip(&withheld);
            let asked: Vec<&str> = asked
                .filter(|(_, withheld)| withheld.is_none())
                .map(|(key, _)| *key)
                .collect();
            let answers = match asked.is_empty() {
                true => Vec::new(),
                false => twice_each(&asked, command).await,
            };
            Ok((deleted, answers))
        };
        let answers = self.attempt(pin!(whole), account_of_both).await;
        let mut answers = match answers {
            Ok((_, answers)) => answers.into_iter(),
            Err(error) => return for_each(keys, &error),
        };
        withheld
            .into_iter()
            .map(|withheld| match withheld {
                Some(error) => Err(error),
                None => answers.next().unwrap_or_else(|| Err(silent())),
            })
            .collect()
    }

    /// The number of the invalidation that must go before a command for `key`.
    fn way(&self, key: &str) -> Result<Option<u64>> {
        let now = self.shared.now();
        let way = {
            let mut state = self.shared.lock();
            match state.pending.way(key) {
                Way::Withheld => Err(Error::BackendRefused(
                    "an invalidation of the key has been refused and is tried again".into(),
                )),
                _ if !state.admits(now, self.shared.longest_step()) => Err(silent()),
                Way::Clear => Ok(None),
                Way::After(number) => Ok(Some(number)),
            }
        };
        self.recover();
        way
    }

    /// Waits for a command that another task runs, within the deadline of a command.
    pub(super) async fn within_deadline<O>(
        &self,
        command: Pin<&mut impl Future<Output = Result<O>>>,
    ) -> Result<O> {
        within(self.shared.policy.deadline, command).await
    }

    /// Runs a command that invalidates `key`. If it fails, or is given up, the invalidation is
    /// queued: `Ok(None)`.
    ///
    /// # Errors
    /// There is no room to queue it.
    pub(super) async fn invalidate<O, F>(
        &self,
        key: &str,
        command: impl Fn() -> F,
    ) -> Result<Option<O>>
    where
        F: Future<Output = Result<O>>,
    {
        let keys = [key];
        let unconfirmed = Unconfirmed::new(self, &keys);
        let answer = match self.admits() {
            Ok(()) => self.attempt(pin!(twice(&command)), account_of_one).await,
            Err(error) => Err(error),
        };
        let (done, error) = match answer {
            Ok(done) => (Some(done), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let told = unconfirmed.settle(vec![error]).pop();
        told.unwrap_or(Ok(Invalidated::Done)).map(|_| done)
    }

    /// Removes whatever is under `keys`. A deletion that fails, or is given up, is queued. A long
    /// batch is cut into parts, each with its own deadline.
    ///
    /// # Errors
    /// There is no room to queue it.
    pub(super) async fn invalidate_many(&self, keys: &[&str]) -> Vec<Result<Invalidated>> {
        // All keys count as unconfirmed from the start: if the batch is given up, the rest is
        // queued.
        let parts: Vec<_> = keys
            .chunks(S::KEYS_AT_ONCE)
            .map(|keys| Unconfirmed::new(self, keys))
            .collect();
        let parts = parts.into_iter().map(|part| self.invalidate_part(part));
        let told = join(parts, PARTS_AT_ONCE).await;
        told.into_iter().flatten().collect()
    }

    async fn invalidate_part(&self, part: Unconfirmed<'_, S>) -> Vec<Result<Invalidated>> {
        let keys = part.keys();
        let delete = |keys: Vec<_>| async move { self.store().delete_many(&keys).await };
        let whole = async { Ok(twice_each(keys, &delete).await) };
        let answers = match self.admits() {
            Ok(()) => self.attempt(pin!(whole), account_of_many).await,
            Err(error) => Err(error),
        };
        part.settle(answers.unwrap_or_else(|error| for_each(keys, &error)))
    }

    /// A mark that later tells whether a failed invalidation came after it.
    pub(super) fn mark(&self) -> u64 {
        self.shared.lock().pending.last()
    }

    /// Whether a lease on `key` with this mark is worthless.
    pub(super) fn voids(&self, key: &str, mark: u64) -> bool {
        self.shared.is_troubled() && self.shared.lock().pending.voids(key, mark)
    }

    pub(super) fn health(&self) -> Health {
        self.shared.lock().health()
    }

    /// Tells `listener` what happens in the background.
    pub(super) fn watch(&self, listener: std::sync::Weak<dyn CacheMetrics>) {
        let mut listeners = self.shared.listeners();
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(listener);
    }

    /// Whether the breaker lets a command pass.
    fn admits(&self) -> Result<()> {
        if !self.shared.is_troubled() {
            return Ok(());
        }
        let now = self.shared.now();
        let admits = self.shared.lock().admits(now, self.shared.longest_step());
        self.recover();
        admits.then_some(()).ok_or_else(silent)
    }

    /// Runs a command within its deadline, and notes what its answer says of the store.
    async fn attempt<O>(
        &self,
        command: Pin<&mut impl Future<Output = Result<O>>>,
        account: impl Fn(&Result<O>) -> Account<'_>,
    ) -> Result<O> {
        let _room = self.shared.admit().await?;
        let under_way = UnderWay { guard: Some(self) };
        let answer = within(self.shared.policy.deadline, command).await;
        under_way.ended();
        let told = account(&answer);
        let clear = told.alive && told.refusal.is_none();
        if !clear || self.shared.is_troubled() {
            self.shared.note(&told);
            if matches!(told.failure, Some(Error::Timeout(_))) {
                self.suspect();
            }
            self.recover();
        }
        answer
    }
}

impl<S: ByteStore> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<std::sync::Weak<dyn CacheMetrics>>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0).after(self.made.elapsed())
    }

    fn is_troubled(&self) -> bool {
        self.troubled.load(Ordering::Acquire)
    }

    /// Changes the state, and notes whether it knows of any trouble now.
    fn change<O>(&self, change: impl FnOnce(&mut State) -> O) -> O {
        let mut state = self.lock();
        let changed = change(&mut state);
        self.troubled.store(!state.is_well(), Ordering::Release);
        changed
    }

    fn note(&self, told: &Account<'_>) {
        let now = self.now();
        self.change(|state| state.note(told, now));
    }

    /// Waits for room in the store's own queue. A timeout here is no failure of the store.
    async fn admit(&self) -> Result<impl Send> {
        let mut admission = pin!(self.store.admit());
        // Only a command that has to wait needs a timer.
        let at_once = poll_fn(|cx| Poll::Ready(admission.as_mut().poll(cx))).await;
        match at_once {
            Poll::Ready(admission) => admission,
            Poll::Pending => within(self.policy.deadline, admission).await,
        }
    }

    /// Deletes keys whose invalidations wait.
    async fn delete(&self, batch: Vec<(Box<str>, u64)>) -> Vec<Result<()>> {
        let keys: Vec<&str> = batch.iter().map(|(key, _)| &**key).collect();
        let delete = |keys: Vec<_>| async move { self.store.delete_many(&keys).await };
        let answers = twice_each(&keys, &delete).await;
        let now = self.now();
        self.change(|state| {
            for ((key, number), answer) in batch.iter().zip(&answers) {
                match answer {
                    Ok(()) => state.pending.sent(key, *number),
                    Err(error) if is_refusal(error) => {
                        state.pending.refuse(key, now);
                        state.last_refusal = Some(error.to_string());
                    }
                    Err(_) => {}
                }
            }
        });
        answers
    }

    /// Tells all listeners, outside of the lock.
    fn tell(&self, key: &str, event: &CacheEvent) {
        let listeners = self.listeners().clone();
        for listener in listeners.iter().filter_map(std::sync::Weak::upgrade) {
            caught(|| listener.record_event(key, event));
        }
    }
}

/// A command that waits for its answer. If it is dropped first, the store may have stopped
/// answering: a caller may give up before the deadline.
struct UnderWay<'g, S: ByteStore> {
    guard: Option<&'g Guard<S>>,
}

impl<S: ByteStore> UnderWay<'_, S> {
    fn ended(mut self) {
        self.guard = None;
    }
}

impl<S: ByteStore> Drop for UnderWay<'_, S> {
    fn drop(&mut self) {
        if let Some(guard) = self.guard {
            guard.suspect();
        }
    }
}

fn for_each<O>(keys: &[&str], error: &Error) -> Vec<Result<O>> {
    keys.iter().map(|_| Err(error.clone())).collect()
}

fn silent() -> Error {
    Error::BackendError("the store does not answer".into())
}

impl<S> Clone for Guard<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S: ByteStore> fmt::Debug for Guard<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("policy", &self.shared.policy)
            .field("health", &self.health())
            .finish()
    }
}
