//! Guards a cache against a store that is slow or unavailable: a deadline for every command, a
//! breaker, and a queue of the invalidations that have not reached the store.

mod again;
mod breaker;
mod commands;
mod pending;
mod rooms;
mod state;
mod tasks;
mod tell;
mod timer;
mod unconfirmed;

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::Id;

use super::byte_store::{ByteStore, Limits};
use crate::backend::Health;
use crate::backend::NodeInfo;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::observability::CacheMetrics;

use again::{Account, is_refusal, twice_each};
pub(super) use breaker::BreakerPolicy;
pub(super) use rooms::Room;
use rooms::Rooms;
use state::State;
use tell::Told;
use timer::{within, within_on};

/// How long a guarded store waits, and how much it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ResiliencePolicy {
    /// For one command, connecting included.
    pub(super) deadline: Duration,
    pub(super) breaker: BreakerPolicy,
    /// How many invalidations may wait.
    pub(super) pending_limit: usize,
    /// How long one that the store refuses is retried.
    pub(super) refused_patience: Duration,
    pub(super) lease_lifetime: Duration,
}

/// A store whose commands have a deadline, a breaker and a queue of invalidations.
pub(super) struct GuardedStore<S> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    store: S,
    limits: Limits,
    policy: ResiliencePolicy,
    /// Time is counted from here: neither a wall clock nor a clock of tests decides how long a
    /// store is left alone.
    made: Instant,
    state: Mutex<State>,
    /// Whether `state` knows of any trouble. While this is `false`, which is nearly always, a
    /// command takes no lock.
    troubled: AtomicBool,
    rooms: Rooms,
    told: Told,
}

impl<S: ByteStore> GuardedStore<S> {
    pub(super) fn new(store: S, limits: Limits, policy: ResiliencePolicy) -> Self {
        Self {
            shared: Arc::new(Shared {
                store,
                limits,
                policy,
                made: Instant::now(),
                state: Mutex::new(State::new(&policy)),
                troubled: AtomicBool::new(false),
                rooms: Rooms::default(),
                told: Told::default(),
            }),
        }
    }

    /// The store itself, without what guards it.
    pub(super) fn inner(&self) -> &S {
        &self.shared.store
    }

    /// What the store says of itself.
    pub(super) fn limits(&self) -> Limits {
        self.shared.limits
    }

    /// Waits for a command that another task of the caller's runtime runs, within the deadline of a
    /// command.
    pub(super) fn within_deadline<O>(
        &self,
        runtime: Id,
        command: Pin<&mut impl Future<Output = Result<O>>>,
    ) -> impl Future<Output = Result<O>> {
        within_on(runtime, self.shared.policy.deadline, command)
    }

    /// How long a single command waits for room: as long as it may take.
    pub(super) fn room_wait(&self) -> Duration {
        self.shared.policy.deadline
    }

    /// How long a command of a batch waits for room. The others of the batch end by themselves, but a caller
    /// beside it may have room and not be polled.
    pub(super) fn room_wait_of_a_batch(&self) -> Duration {
        self.room_wait().saturating_mul(20)
    }

    /// Waits for room for a command with `bytes` for `key`, for as long as `wait`. Keep it until the command
    /// has ended.
    ///
    /// # Errors
    /// [`Error::Timeout`] if there was none. It says nothing of the store, and nothing was sent.
    pub(super) async fn room(&self, key: &str, bytes: usize, wait: Duration) -> Result<Room> {
        match Rooms::is_needed(bytes) {
            true => {
                self.room_on(self.inner().node_of(key), bytes, 1, wait)
                    .await
            }
            false => Ok(None),
        }
    }

    /// [`room`](Self::room) on the way to a node, for so many values of `bytes` each.
    async fn room_on(
        &self,
        node: usize,
        bytes: usize,
        values: usize,
        wait: Duration,
    ) -> Result<Room> {
        if !Rooms::is_needed(bytes) {
            return Ok(None);
        }
        let bytes = bytes.saturating_mul(values);
        Box::pin(self.shared.rooms.enter(node, bytes, wait)).await
    }

    /// The number of the last failed invalidation, for [`is_voided`](Self::is_voided).
    pub(super) fn invalidation_sequence(&self) -> u64 {
        self.shared.lock().pending.last()
    }

    /// Whether an invalidation of `key` has failed since that number was the last: then a lease that
    /// was taken by then is worthless.
    pub(super) fn is_voided(&self, key: &str, sequence: u64) -> bool {
        self.shared.is_troubled() && self.shared.lock().pending.is_voided(key, sequence)
    }

    pub(super) fn health(&self) -> Health {
        self.shared.health()
    }

    /// Tells `listener` what happens to the store.
    pub(super) fn watch(&self, listener: Weak<dyn CacheMetrics>) {
        self.shared.told.watch(listener);
    }

    /// Whether the breaker of a node lets a command pass.
    fn admits(&self, node: usize) -> Result<()> {
        if !self.shared.is_troubled() {
            return Ok(());
        }
        let (now, step) = (self.shared.now(), self.shared.longest_step());
        let admits = self.shared.lock().admits(node, now, step);
        self.recover();
        admits.then_some(()).ok_or_else(breaker_is_open)
    }

    /// Runs a command for a node within its deadline, and notes what its answer says of the node.
    async fn attempt<O>(
        &self,
        node: usize,
        operation: &'static str,
        command: Pin<&mut impl Future<Output = Result<O>>>,
        account: impl Fn(&Result<O>) -> Account<'_>,
    ) -> Result<O> {
        let _room = self.shared.admit().await?;
        let under_way = UnderWay {
            store: Some(self),
            node,
        };
        let since = self.shared.told.stopwatch();
        let answer = within(self.shared.policy.deadline, command).await;
        under_way.ended();
        let told = account(&answer);
        self.shared.told.command(operation, since, &told);
        let clear = told.alive && told.refusal.is_none();
        if !clear || self.shared.is_troubled() {
            self.shared.note(node, operation, &told);
            if matches!(told.failure, Some(Error::Timeout(_))) {
                self.suspect(node);
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

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0).after(self.made.elapsed())
    }

    fn is_troubled(&self) -> bool {
        self.troubled.load(Ordering::Acquire)
    }

    /// Changes the state, notes whether it knows of any trouble now, and tells what has changed.
    fn change<O>(&self, change: impl FnOnce(&mut State) -> O) -> O {
        let mut state = self.lock();
        let changed = change(&mut state);
        self.troubled.store(!state.is_well(), Ordering::Release);
        let news = state.news();
        drop(state);
        self.tell(news);
        changed
    }

    /// How the store is doing, and each of its nodes.
    fn health(&self) -> Health {
        let nodes = self.store.nodes();
        let waiting: Vec<Box<str>> = self.lock().pending.keys().map(Box::from).collect();
        // The store may be the user's, and is not called under the lock.
        let mut pending: BTreeMap<usize, usize> = BTreeMap::new();
        for key in &waiting {
            *pending.entry(self.store.node_of(key)).or_default() += 1;
        }
        let state = self.lock();
        let mut health = state.health();
        let of_node = |node: NodeInfo| {
            let pending = node.number.and_then(|number| pending.get(&number));
            state.health_of(node, pending.copied().unwrap_or(0))
        };
        health.nodes = nodes.into_iter().map(of_node).collect();
        health
    }

    /// Notes what the answer to a command says of its node, and tells of a failure.
    fn note(&self, node: usize, operation: &'static str, told: &Account<'_>) {
        let now = self.now();
        self.tell_failure(node, operation, told);
        self.change(|state| state.note(node, told, now));
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
}

/// A command that waits for its answer. If it is dropped first, the node may have stopped
/// answering: a caller may give up before the deadline.
struct UnderWay<'g, S: ByteStore> {
    store: Option<&'g GuardedStore<S>>,
    node: usize,
}

impl<S: ByteStore> UnderWay<'_, S> {
    fn ended(mut self) {
        self.store = None;
    }
}

impl<S: ByteStore> Drop for UnderWay<'_, S> {
    fn drop(&mut self) {
        if let Some(store) = self.store {
            store.suspect(self.node);
        }
    }
}

/// The breaker lets no command pass.
fn breaker_is_open() -> Error {
    Error::BackendError("not sent: the breaker is open, since the store has not answered".into())
}

impl<S> Clone for GuardedStore<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S: ByteStore> fmt::Debug for GuardedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedStore")
            .field("policy", &self.shared.policy)
            .field("health", &self.health())
            .finish()
    }
}
