//! The background tasks that look after a store: one waits for it to come back and sends what is
//! queued, the other finds out whether it answers at all.

use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;

use super::again::{Account, account_of_many};
use super::state::{Post, State};
use super::timer::{pause, within};
use super::{GuardedStore, Shared};
use crate::backend::remote::byte_store::ByteStore;
use crate::error::{Error, Result};
use crate::observability::CacheEvent;

/// How many queued invalidations go out in one command.
pub(super) const BATCH: usize = 500;

/// How often the store is asked whether it is back, and refused invalidations are sent again.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// Shorter than any pause between two rounds, so that each round sends everything that was refused
/// before.
pub(super) const REFUSED_PAUSE: Duration = Duration::from_millis(250);

/// What the recovering task does next.
pub(super) enum Step {
    /// Asks whether the store is back.
    Ping,
    /// Sends invalidations that wait.
    Send(Vec<(Box<str>, u64)>),
    /// Waits until what was refused may be sent again.
    Wait,
    /// There is nothing left to do, or another task does it.
    End,
}

impl<S: ByteStore> GuardedStore<S> {
    /// Starts the task that waits for the store to come back and sends what is queued, if it is
    /// needed and none is alive.
    pub(super) fn recover(&self) {
        let wanted = State::needs_recovery;
        if let Some((runtime, duty)) = Duty::take(&self.shared, wanted, |state| &mut state.recovery)
        {
            runtime.spawn(recovery(duty));
        }
    }

    /// A command was given up without an answer. Finds out, by a ping behind it, whether the store
    /// answers.
    ///
    /// There is one ping at a time. So a storm of dropped requests costs a healthy store next to
    /// nothing, and cannot open the breaker.
    pub(super) fn suspect(&self) {
        let wanted = |state: &State| state.breaker.is_closed();
        let Some((runtime, duty)) = Duty::take(&self.shared, wanted, |state| &mut state.ping)
        else {
            return;
        };
        let store = self.clone();
        runtime.spawn(async move {
            let answer = store.shared.ping().await;
            drop(duty);
            if let Err(error) = answer {
                let now = store.shared.now();
                store.shared.change(|state| {
                    state.breaker.trip(now, fastrand::f64());
                    state.last_error = Some(error.to_string());
                });
                store.recover();
            }
        });
    }
}

/// Waits for the store to come back, and sends what is queued.
async fn recovery<S: ByteStore>(duty: Duty<S>) {
    loop {
        // Weak while it waits: a backend that has been dropped needs no recovery.
        let Some(shared) = duty.shared.upgrade() else {
            return;
        };
        let now = shared.now();
        let given_up = shared.give_up();
        for key in given_up {
            shared.notify(&key, &CacheEvent::InvalidationGivenUp);
        }
        let step = shared.change(|state| state.next_step(duty.task, now));
        let well = match step {
            Step::End => return,
            Step::Wait => false,
            Step::Ping => {
                let back = shared.ping().await.is_ok();
                if back {
                    let told = Account::of([None]);
                    shared.note(&told);
                }
                back
            }
            Step::Send(batch) => shared.send(batch).await,
        };
        drop(shared);
        // Many processes may wait for one store; jitter keeps them from asking all at once.
        let jittered = PAUSE.mul_f64(0.75 + 0.5 * fastrand::f64());
        if !well && pause(jittered).await.is_err() {
            return;
        }
    }
}

impl<S: ByteStore> Shared<S> {
    /// Longer than any step that a task takes without a sign of life.
    pub(super) fn longest_step(&self) -> Duration {
        (self.policy.deadline.saturating_add(PAUSE)).saturating_mul(2)
    }

    /// Whether the store answers. A refusal is an answer.
    async fn ping(&self) -> Result<()> {
        match within(self.policy.deadline, pin!(self.store.ping())).await {
            Err(Error::BackendRefused(_)) => Ok(()),
            // The connection may have been lost long before.
            Err(Error::ConnectionLost(_)) => {
                within(self.policy.deadline, pin!(self.store.ping())).await
            }
            answer => answer,
        }
    }

    /// Sends invalidations that wait, within the deadline of a command; `false` if the store does
    /// not answer.
    async fn send(&self, batch: Vec<(Box<str>, u64)>) -> bool {
        let Ok(_room) = self.admit().await else {
            return false;
        };
        let sending = async { Ok(self.delete(batch).await) };
        let answers = within(self.policy.deadline, pin!(sending)).await;
        let told = account_of_many(&answers);
        self.note(&told);
        told.alive
    }

    /// Gives up what the store has refused for too long.
    fn give_up(&self) -> Vec<Box<str>> {
        let now = self.now();
        let patience = self.policy.refused_patience;
        self.change(|state| {
            let given_up = state.pending.give_up(now, patience);
            state.given_up += given_up.len() as u64;
            given_up
        })
    }
}

/// A task's responsibility, which ends with the task, even if its runtime ends or it panics.
struct Duty<S: ByteStore> {
    shared: Weak<Shared<S>>,
    task: u64,
    post: fn(&mut State) -> &mut Post,
}

impl<S: ByteStore> Duty<S> {
    /// Makes a task of this runtime responsible, if one is wanted and none is alive. `None` outside of
    /// a runtime, too.
    fn take(
        shared: &Arc<Shared<S>>,
        wanted: impl FnOnce(&State) -> bool,
        post: fn(&mut State) -> &mut Post,
    ) -> Option<(Handle, Self)> {
        let runtime = Handle::try_current().ok()?;
        let now = shared.now();
        let limit = shared.longest_step();
        let task = {
            let mut state = shared.lock();
            if !wanted(&state) || post(&mut state).is_held(now, limit) {
                return None;
            }
            post(&mut state).take(now)
        };
        let duty = Self {
            shared: Arc::downgrade(shared),
            task,
            post,
        };
        Some((runtime, duty))
    }
}

impl<S: ByteStore> Drop for Duty<S> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            let mut state = shared.lock();
            (self.post)(&mut state).leave(self.task);
        }
    }
}
