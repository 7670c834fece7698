//! The background tasks that look after a store: one waits for it to come back and sends what is
//! queued, the other finds out whether it answers at all.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;

use super::again::{Account, account_of_many};
use super::state::{Post, State};
use super::tell::INVALIDATE;
use super::timer::{pause, within};
use super::{GuardedStore, Shared};
use crate::backend::remote::byte_store::ByteStore;
use crate::error::{Error, Result};
use crate::together::join;

/// How many queued invalidations go out in one command.
pub(super) const BATCH: usize = 500;

/// How often the store is asked whether it is back, and refused invalidations are sent again.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// Shorter than any pause between two rounds, so that each round sends everything that was refused
/// before.
pub(super) const REFUSED_PAUSE: Duration = Duration::from_millis(250);

/// What the recovering task does next.
pub(super) enum Step {
    /// Sends invalidations that are due, and asks the nodes whose breakers are open whether they are
    /// back.
    Work {
        due: Vec<(Box<str>, u64)>,
        open: Vec<usize>,
    },
    /// There is nothing left to do, or another task does it.
    End,
}

impl<S: ByteStore> GuardedStore<S> {
    /// Starts the task that waits for the store to come back and sends what is queued, if it is
    /// needed and none is alive.
    pub(super) fn recover(&self) {
        let wanted = State::needs_recovery;
        if let Some((runtime, duty)) = Duty::take(&self.shared, wanted, Office::Recovery) {
            runtime.spawn(recovery(duty));
        }
    }

    /// Asks the store whether all of it answers, within the deadline of a command, also while a breaker
    /// is open; an answer closes it then. Neither an answer nor its absence is counted otherwise: a
    /// store that answers pings and no commands must still be left alone.
    pub(in super::super) async fn ping(&self) -> Result<()> {
        let answer = self.shared.answer(|| self.inner().ping());
        within(self.shared.policy.deadline, pin!(answer)).await?;
        if self.shared.is_troubled() {
            let now = self.shared.now();
            self.shared.change(|state| {
                for node in state.open() {
                    state.note(node, &Account::of([None]), now);
                }
            });
            self.recover();
        }
        Ok(())
    }

    /// A command was given up without an answer. Finds out, by a ping behind it, whether the node
    /// answers.
    ///
    /// There is one ping at a time to a node. So a storm of dropped requests costs a healthy one
    /// next to nothing, and cannot open its breaker.
    pub(super) fn suspect(&self, node: usize) {
        let wanted = |state: &State| state.is_closed(node);
        let Some((runtime, duty)) = Duty::take(&self.shared, wanted, Office::Ping(node)) else {
            return;
        };
        let store = self.clone();
        runtime.spawn(async move {
            let answer = store.shared.ping(node).await;
            let Err(error) = answer else {
                return;
            };
            let now = store.shared.now();
            store.shared.change(|state| {
                // If this runtime stood still, another task may know better by now.
                if !duty.office.post(state).beat(duty.task, now) {
                    return;
                }
                state.trip(node, error.to_string(), now);
            });
            drop(duty);
            store.recover();
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
            shared.tell_given_up(&key);
        }
        let step = shared.change(|state| state.next_step(duty.task, now));
        let well = match step {
            Step::End => return,
            Step::Work { due, open } => {
                // The store may be the user's, and is not called under the lock.
                let sent = due
                    .into_iter()
                    .filter(|(key, _)| !open.contains(&shared.store.node_of(key)));
                let batch: Vec<_> = sent.take(BATCH).collect();
                let sending = async { !batch.is_empty() && shared.send(batch).await };
                let asking = async { !open.is_empty() && shared.ask(open).await };
                // A node that is asked must not wait for one that does not take what is sent.
                let work: [Pin<Box<dyn Future<Output = bool> + Send>>; 2] =
                    [Box::pin(sending), Box::pin(asking)];
                join(work.into_iter(), usize::MAX).await.contains(&true)
            }
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

    /// Whether a node answers.
    async fn ping(&self, node: usize) -> Result<()> {
        self.answer(|| self.store.ping_node(node)).await
    }

    /// Whether there is an answer to a ping, within the deadline of a command. A refusal is one.
    async fn answer<F>(&self, ping: impl Fn() -> F) -> Result<()>
    where
        F: Future<Output = Result<()>>,
    {
        let once = || async { within(self.policy.deadline, pin!(ping())).await };
        match once().await {
            Err(Error::BackendRefused(_)) => Ok(()),
            // The connection may have been lost long before.
            Err(Error::ConnectionLost(_)) => once().await,
            answer => answer,
        }
    }

    /// Asks nodes whether they are back; `false` if none is.
    async fn ask(&self, nodes: Vec<usize>) -> bool {
        let ask = |node| async move {
            let back = self.ping(node).await.is_ok();
            if back {
                self.note(node, INVALIDATE, &Account::of([None]));
            }
            back
        };
        let back = join(nodes.into_iter().map(ask), usize::MAX).await;
        back.contains(&true)
    }

    /// Sends invalidations that wait, each node's within the deadline of a command; `false` if no
    /// node answers.
    async fn send(&self, batch: Vec<(Box<str>, u64)>) -> bool {
        let now = self.now();
        self.change(|state| state.pending.sending(&batch, now));
        let mut parts: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for waiting in batch {
            let node = self.store.node_of(&waiting.0);
            parts.entry(node).or_default().push(waiting);
        }
        let send = |(node, batch)| async move {
            let Ok(_room) = self.admit().await else {
                return false;
            };
            let sending = async { Ok(self.delete(batch).await) };
            let answers = within(self.policy.deadline, pin!(sending)).await;
            let told = account_of_many(&answers);
            self.note(node, INVALIDATE, &told);
            told.alive
        };
        let alive = join(parts.into_iter().map(send), usize::MAX).await;
        alive.contains(&true)
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

/// What a task is responsible for.
#[derive(Debug, Clone, Copy)]
enum Office {
    /// Waiting for the nodes to come back, and sending what waits.
    Recovery,
    /// Finding out whether a node answers.
    Ping(usize),
}

impl Office {
    fn post(self, state: &mut State) -> &mut Post {
        match self {
            Self::Recovery => &mut state.recovery,
            Self::Ping(node) => &mut state.node(node).ping,
        }
    }
}

/// A task's responsibility, which ends with the task, even if its runtime ends or it panics.
struct Duty<S: ByteStore> {
    shared: Weak<Shared<S>>,
    task: u64,
    office: Office,
}

impl<S: ByteStore> Duty<S> {
    /// Makes a task of this runtime responsible, if one is wanted and none is alive. `None` outside of
    /// a runtime, too.
    fn take(
        shared: &Arc<Shared<S>>,
        wanted: impl FnOnce(&State) -> bool,
        office: Office,
    ) -> Option<(Handle, Self)> {
        let runtime = Handle::try_current().ok()?;
        let now = shared.now();
        let limit = shared.longest_step();
        let task = {
            let mut state = shared.lock();
            if !wanted(&state) || office.post(&mut state).is_held(now, limit) {
                return None;
            }
            office.post(&mut state).take(now)
        };
        let duty = Self {
            shared: Arc::downgrade(shared),
            task,
            office,
        };
        Some((runtime, duty))
    }
}

impl<S: ByteStore> Drop for Duty<S> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            let mut state = shared.lock();
            self.office.post(&mut state).leave(self.task);
        }
    }
}
