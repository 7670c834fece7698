//! What stands between a cache and a store that may be slow, gone, or back again: a deadline for
//! every command, a breaker, and a queue of invalidations that did not get through.

mod breaker;
mod pending;
mod timer;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use super::Invalidated;
use super::bytes::{ByteStore, one_each};
use crate::clock::Clock;
use crate::error::{Error, Result};

use breaker::Breaker;
pub(super) use breaker::BreakerPolicy;
use pending::Pending;
use timer::within;

/// How many queued invalidations go out in one command.
const BATCH: usize = 500;

/// How often the store is asked whether it is back while nobody else asks it.
const RECOVERY_PAUSE: Duration = Duration::from_millis(500);

/// How long the guard waits, and how much it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GuardPolicy {
    /// For one command, waiting and connecting included.
    pub(super) deadline: Duration,
    pub(super) breaker: BreakerPolicy,
    /// How many invalidations may wait.
    pub(super) pending_limit: usize,
    pub(super) lease_lifetime: Duration,
}

/// How a remote store is doing, as this process sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether commands are sent. `false` while the breaker is open: reads are misses, loads are
    /// not stored, invalidations wait.
    pub available: bool,
    /// Invalidations that have not reached the store; their keys are not served by this process.
    pub pending_invalidations: usize,
    /// What the last failed command failed with, until one succeeds.
    pub last_error: Option<String>,
}

pub(super) struct Guard<S> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    store: S,
    policy: GuardPolicy,
    clock: Clock,
    state: Mutex<State>,
    /// Whether `state` says anything but that all is well. While it is `false`, which is nearly
    /// always, a command takes no lock.
    troubled: AtomicBool,
    /// One task flushes at a time, so that nothing overtakes the queue.
    flushing: tokio::sync::Mutex<()>,
    /// Whether a task waits for the store to come back.
    recovering: AtomicBool,
}

struct State {
    breaker: Breaker,
    pending: Pending,
    last_error: Option<String>,
}

impl<S: ByteStore> Guard<S> {
    pub(super) fn new(store: S, policy: GuardPolicy) -> Self {
        let state = State {
            breaker: Breaker::new(policy.breaker),
            pending: Pending::new(policy.pending_limit),
            last_error: None,
        };
        Self {
            shared: Arc::new(Shared {
                store,
                policy,
                clock: Clock::system(),
                state: Mutex::new(state),
                troubled: AtomicBool::new(false),
                flushing: tokio::sync::Mutex::new(()),
                recovering: AtomicBool::new(false),
            }),
        }
    }

    pub(super) fn store(&self) -> &S {
        &self.shared.store
    }

    /// Runs a command: within the deadline, if the breaker admits it, and after all invalidations
    /// that wait. It is sent once more if its connection is lost.
    ///
    /// The way back to health is boxed, and so is the second try: a command has room for neither.
    pub(super) async fn run<O, F>(&self, command: impl Fn() -> F) -> Result<O>
    where
        F: Future<Output = Result<O>>,
    {
        let whole = async {
            if self.shared.is_troubled() {
                Box::pin(self.shared.flush()).await?;
            }
            twice(&command).await
        };
        let answer = self.shared.attempt(pin!(whole)).await;
        if answer.is_err() {
            self.recover();
        }
        answer
    }

    /// [`run`](Self::run) for a command with many keys, each of which has its own answer. Only those
    /// whose connection is lost are asked for again.
    pub(super) async fn run_many<'k, O, F>(
        &self,
        keys: &[&'k str],
        command: impl Fn(Vec<&'k str>) -> F,
    ) -> Vec<Result<O>>
    where
        F: Future<Output = Vec<Result<O>>>,
    {
        let whole = async {
            if self.shared.is_troubled() {
                Box::pin(self.shared.flush()).await?;
            }
            all_or_some(twice_each(keys, &command).await)
        };
        let answers = self.shared.attempt(pin!(whole)).await;
        if answers.is_err() {
            self.recover();
        }
        answers.unwrap_or_else(|error| keys.iter().map(|_| Err(error.clone())).collect())
    }

    /// Waits for what somebody else runs, within the deadline of a command.
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
        let mut unconfirmed = Unconfirmed::new(self, &keys);
        match self.shared.attempt(pin!(twice(&command))).await {
            Ok(done) => {
                unconfirmed.confirmed(0);
                Ok(Some(done))
            }
            Err(error) => match unconfirmed.queue(0) {
                true => Ok(None),
                false => Err(no_room(&error)),
            },
        }
    }

    /// Removes whatever stands under `keys`. What fails, or is given up, is queued.
    ///
    /// # Errors
    /// There is no room to queue it.
    pub(super) async fn invalidate_many(&self, keys: &[&str]) -> Vec<Result<Invalidated>> {
        let mut unconfirmed = Unconfirmed::new(self, keys);
        let delete = |keys: Vec<_>| async move { self.store().delete_many(&keys).await };
        let whole = async { all_or_some(twice_each(keys, &delete).await) };
        let answers = self.shared.attempt(pin!(whole)).await;
        let answers = answers
            .unwrap_or_else(|error| keys.iter().map(|_| Err(error.clone())).collect())
            .into_iter()
            .enumerate();
        answers
            .map(|(place, answer)| match answer {
                Ok(()) => {
                    unconfirmed.confirmed(place);
                    Ok(Invalidated::Done)
                }
                Err(error) => match unconfirmed.queue(place) {
                    true => Ok(Invalidated::Pending),
                    false => Err(no_room(&error)),
                },
            })
            .collect()
    }

    /// A mark that later tells whether an invalidation in vain came after it.
    pub(super) fn mark(&self) -> u64 {
        self.shared.lock().pending.last()
    }

    /// Whether a lease on `key` with this mark is worthless.
    pub(super) fn voids(&self, key: &str, mark: u64) -> bool {
        self.shared.is_troubled() && self.shared.lock().pending.voids(key, mark)
    }

    pub(super) fn health(&self) -> Health {
        let state = self.shared.lock();
        Health {
            available: state.breaker.is_closed(),
            pending_invalidations: state.pending.len(),
            last_error: state.last_error.clone(),
        }
    }

    /// Starts a task that waits for the store to come back, unless there is one.
    fn recover(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if self.shared.recovering.swap(true, Ordering::AcqRel) {
            return;
        }
        // Weak: a backend that nobody has any more needs no recovery.
        let shared = Arc::downgrade(&self.shared);
        let end = Recovering(shared.clone());
        runtime.spawn(async move {
            let _end = end;
            loop {
                tokio::time::sleep(RECOVERY_PAUSE).await;
                let Some(shared) = shared.upgrade() else {
                    return;
                };
                if shared.has_recovered() || shared.look().await {
                    return;
                }
            }
        });
    }
}

impl State {
    /// Nothing is counted, nothing waits, nothing is to be told.
    fn is_well(&self) -> bool {
        self.breaker.is_untouched() && self.pending.is_untouched() && self.last_error.is_none()
    }
}

impl<S: ByteStore> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether commands pass and nothing waits to be sent.
    fn has_recovered(&self) -> bool {
        let state = self.lock();
        state.breaker.is_closed() && state.pending.len() == 0
    }

    /// Asks the store, past the breaker, whether it is back, and sends what waits.
    ///
    /// The breaker's pauses grow to many seconds, since a probe of it costs a caller his time. This
    /// one costs nobody anything, so it goes on at its own short pace.
    async fn look(&self) -> bool {
        let looking = async {
            self.store.ping().await?;
            self.flush().await
        };
        let well = within(self.policy.deadline, pin!(looking)).await.is_ok();
        if well {
            self.change(|state| {
                state.breaker.succeeded();
                state.last_error = None;
            });
        }
        well && self.has_recovered()
    }

    async fn attempt<O>(&self, command: Pin<&mut impl Future<Output = Result<O>>>) -> Result<O> {
        if self.is_troubled() && !self.lock().breaker.admits(self.clock.now()) {
            return Err(Error::BackendError("the store does not answer".into()));
        }
        let _room = self.admit().await?;
        let answer = within(self.policy.deadline, command).await;
        match &answer {
            Ok(_) | Err(Error::TooLarge(_)) if !self.is_troubled() => {}
            Ok(_) | Err(Error::TooLarge(_)) => self.change(|state| {
                state.breaker.succeeded();
                state.pending.forget(self.clock.now());
                state.last_error = None;
            }),
            // It is alive, and says no.
            Err(error @ Error::BackendRefused(_)) => self.change(|state| {
                state.breaker.succeeded();
                state.last_error = Some(error.to_string());
            }),
            Err(error) => self.change(|state| {
                state.breaker.failed(self.clock.now(), fastrand::f64());
                state.last_error = Some(error.to_string());
            }),
        }
        answer
    }

    /// Waits for room in the store's own queue. To wait in vain is no failure of the store.
    async fn admit(&self) -> Result<impl Send> {
        let mut admission = pin!(self.store.admit());
        // A timer is only for those that have to wait.
        let at_once = poll_fn(|cx| Poll::Ready(admission.as_mut().poll(cx))).await;
        match at_once {
            Poll::Ready(admission) => admission,
            Poll::Pending => within(self.policy.deadline, admission).await,
        }
    }

    fn is_troubled(&self) -> bool {
        self.troubled.load(Ordering::Acquire)
    }

    /// Changes the state, and says whether it is one of trouble now.
    fn change<O>(&self, change: impl FnOnce(&mut State) -> O) -> O {
        let mut state = self.lock();
        let changed = change(&mut state);
        self.troubled.store(!state.is_well(), Ordering::Release);
        changed
    }

    /// Sends all invalidations that wait.
    async fn flush(&self) -> Result<()> {
        if self.lock().pending.len() == 0 {
            return Ok(());
        }
        let _turn = self.flushing.lock().await;
        loop {
            let batch = self.lock().pending.batch(BATCH);
            if batch.is_empty() {
                return Ok(());
            }
            let keys: Vec<&str> = batch.iter().map(|(key, _)| &**key).collect();
            for answer in one_each(keys.len(), self.store.delete_many(&keys).await) {
                answer?;
            }
            self.change(|state| state.pending.sent(&batch));
        }
    }
}

/// Runs a command, and once more if its connection is lost.
async fn twice<O, F>(command: &impl Fn() -> F) -> Result<O>
where
    F: Future<Output = Result<O>>,
{
    match command().await {
        Err(Error::ConnectionLost(_)) => Box::pin(command()).await,
        answer => answer,
    }
}

/// Runs a command for `keys`, and once more for those whose connection is lost.
async fn twice_each<'k, O, F>(
    keys: &[&'k str],
    command: &impl Fn(Vec<&'k str>) -> F,
) -> Vec<Result<O>>
where
    F: Future<Output = Vec<Result<O>>>,
{
    let mut answers = one_each(keys.len(), command(keys.to_vec()).await);
    let lost = |answer: &Result<O>| matches!(answer, Err(Error::ConnectionLost(_)));
    if answers.iter().any(lost) {
        let places: Vec<usize> = (0..keys.len()).filter(|at| lost(&answers[*at])).collect();
        let again = places.iter().map(|place| keys[*place]).collect();
        let again = one_each(places.len(), Box::pin(command(again)).await);
        for (place, answer) in places.into_iter().zip(again) {
            answers[place] = answer;
        }
    }
    answers
}

/// The answers, or the failure if there is nothing else: then the store has not answered.
fn all_or_some<O>(answers: Vec<Result<O>>) -> Result<Vec<Result<O>>> {
    let failed = |answer: &Result<O>| matches!(answer, Err(error) if !matches!(error, Error::TooLarge(_) | Error::BackendRefused(_)));
    if !answers.is_empty() && answers.iter().all(failed) {
        return answers
            .into_iter()
            .collect::<Result<Vec<O>>>()
            .map(|_| Vec::new());
    }
    Ok(answers)
}

fn no_room(error: &Error) -> Error {
    Error::BackendError(format!("{error}; no room to queue the invalidation"))
}

/// Invalidations that may or may not have reached the store. Dropped before that is known, they
/// are queued.
struct Unconfirmed<'g, S: ByteStore> {
    guard: &'g Guard<S>,
    keys: &'g [&'g str],
    /// The place of the first one whose fate is not known yet.
    next: usize,
}

impl<'g, S: ByteStore> Unconfirmed<'g, S> {
    fn new(guard: &'g Guard<S>, keys: &'g [&'g str]) -> Self {
        Self {
            guard,
            keys,
            next: 0,
        }
    }

    fn confirmed(&mut self, place: usize) {
        self.next = place + 1;
    }

    /// Queues one; `false` if there is no room.
    fn queue(&mut self, place: usize) -> bool {
        self.next = place + 1;
        let shared = &self.guard.shared;
        let now = shared.clock.now();
        let leases_end = now.after(shared.policy.lease_lifetime);
        let key = self.keys[place];
        let queued = shared.change(|state| state.pending.queue(key, now, leases_end));
        self.guard.recover();
        queued
    }
}

impl<S: ByteStore> Drop for Unconfirmed<'_, S> {
    fn drop(&mut self) {
        for place in self.next..self.keys.len() {
            self.queue(place);
        }
    }
}

/// Tells, when the recovering task ends or its runtime does, that there is none any more.
struct Recovering<S>(std::sync::Weak<Shared<S>>);

impl<S> Drop for Recovering<S> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.recovering.store(false, Ordering::Release);
        }
    }
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
