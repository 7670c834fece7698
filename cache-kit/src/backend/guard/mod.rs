//! What stands between a cache and a store that may be slow, gone, or back again: a deadline for
//! every command, a breaker, and a queue of invalidations that did not get through.

mod breaker;
mod pending;
mod timer;

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::bytes::ByteStore;
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
                clock: Clock::steady(),
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
    /// that wait.
    ///
    /// It is taken by its address, and the way back to health is boxed: a future that is handed
    /// down by value takes its room once more at every level.
    pub(super) async fn run<O>(
        &self,
        command: Pin<&mut impl Future<Output = Result<O>>>,
    ) -> Result<O> {
        let whole = async {
            if self.shared.is_troubled() {
                Box::pin(self.shared.flush()).await?;
            }
            command.await
        };
        let answer = self.shared.attempt(pin!(whole)).await;
        if answer.is_err() {
            self.recover();
        }
        answer
    }

    /// Waits for what somebody else runs, within the deadline of a command.
    pub(super) async fn within_deadline<O>(
        &self,
        command: Pin<&mut impl Future<Output = Result<O>>>,
    ) -> Result<O> {
        within(self.shared.policy.deadline, command).await
    }

    /// Runs a command that invalidates `keys`. If it fails, or is given up, the invalidations are
    /// queued: `Ok(None)`.
    ///
    /// # Errors
    /// There is no room to queue them all.
    pub(super) async fn invalidate<O>(
        &self,
        keys: &[&str],
        command: Pin<&mut impl Future<Output = Result<O>>>,
    ) -> Result<Option<O>> {
        let mut unconfirmed = Unconfirmed {
            guard: self,
            keys,
            refused: None,
        };
        match self.shared.attempt(command).await {
            Ok(done) => {
                unconfirmed.refused = Some(0);
                Ok(Some(done))
            }
            Err(error) => match unconfirmed.queue() {
                0 => Ok(None),
                refused => Err(Error::BackendError(format!(
                    "{error}; no room to queue {refused} invalidations"
                ))),
            },
        }
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
            self.store.delete_many(&keys).await?;
            self.change(|state| state.pending.sent(&batch));
        }
    }
}

/// Invalidations that may or may not have reached the store. Dropped before that is known, they
/// are queued.
struct Unconfirmed<'g, S: ByteStore> {
    guard: &'g Guard<S>,
    keys: &'g [&'g str],
    /// How many found no room in the queue, once that or the command's success is known.
    refused: Option<usize>,
}

impl<S: ByteStore> Unconfirmed<'_, S> {
    fn queue(&mut self) -> usize {
        let shared = &self.guard.shared;
        let now = shared.clock.now();
        let leases_end = now.after(shared.policy.lease_lifetime);
        let refused = shared.change(|state| {
            let pending = &mut state.pending;
            let taken = self
                .keys
                .iter()
                .filter(|key| pending.queue(key, now, leases_end));
            self.keys.len() - taken.count()
        });
        self.refused = Some(refused);
        self.guard.recover();
        refused
    }
}

impl<S: ByteStore> Drop for Unconfirmed<'_, S> {
    fn drop(&mut self) {
        if self.refused.is_none() {
            self.queue();
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
