//! [`Table`]: a repository that records its queries, and ends them on command.

use std::collections::HashMap;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, oneshot};

use crate::coalesced::Coalesced;
use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::repository::DataRepository;
use crate::together::join;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) id: u32,
    /// How often it had been updated when the query began.
    pub(super) version: u32,
}

impl CacheEntity for Row {
    type Key = u32;

    fn cache_key(&self) -> u32 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "row"
    }
}

/// How a query ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Rows,
    Error,
    Panic,
    /// One row fewer than ids.
    TooFew,
}

#[derive(Default)]
pub(super) struct Table {
    state: Mutex<State>,
    /// Whether queries end on command.
    on_command: bool,
    takes: Duration,
    /// Queries with this id fail.
    bad: Option<u32>,
    /// How many queries have a future.
    alive: AtomicUsize,
    begun: Notify,
}

#[derive(Default)]
struct State {
    versions: HashMap<u32, u32>,
    queries: Vec<Vec<u32>>,
    batches: usize,
    commands: Vec<Option<oneshot::Sender<Outcome>>>,
    /// From now on, no query waits for a command.
    released: bool,
}

impl Table {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn on_command() -> Arc<Self> {
        Arc::new(Self {
            on_command: true,
            ..Self::default()
        })
    }

    pub(super) fn that_takes(takes: Duration) -> Arc<Self> {
        Arc::new(Self {
            takes,
            ..Self::default()
        })
    }

    pub(super) fn with_bad(bad: u32) -> Arc<Self> {
        Arc::new(Self {
            bad: Some(bad),
            ..Self::default()
        })
    }

    /// The ids of each query.
    pub(super) fn queries(&self) -> Vec<Vec<u32>> {
        self.lock().queries.clone()
    }

    /// How many queries were `fetch_by_ids`.
    pub(super) fn batches(&self) -> usize {
        self.lock().batches
    }

    pub(super) fn alive(&self) -> usize {
        self.alive.load(Ordering::Acquire)
    }

    pub(super) fn update(&self, id: u32) {
        *self.lock().versions.entry(id).or_default() += 1;
    }

    pub(super) fn version(&self, id: u32) -> u32 {
        self.lock().versions.get(&id).copied().unwrap_or(0)
    }

    pub(super) async fn until_asked(&self, queries: usize) {
        while self.lock().queries.len() < queries {
            self.begun.notified().await;
        }
    }

    /// Queries that wait for their command.
    pub(super) fn waiting(&self) -> Vec<usize> {
        let commands = &self.lock().commands;
        let waits = |query: &usize| commands[*query].as_ref().is_some_and(|c| !c.is_closed());
        (0..commands.len()).filter(waits).collect()
    }

    pub(super) fn end(&self, query: usize, outcome: Outcome) {
        let command = self.lock().commands[query].take();
        let _ = command.expect("it has not ended").send(outcome);
    }

    pub(super) fn end_all(&self) {
        self.lock().released = true;
        for query in self.waiting() {
            self.end(query, Outcome::Rows);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }

    async fn query(&self, ids: &[u32], batch: bool) -> Result<Vec<Option<Row>>> {
        let row = |id: &u32| {
            Some(Row {
                id: *id,
                version: self.version(*id),
            })
        };
        let mut rows: Vec<Option<Row>> = ids.iter().map(row).collect();
        self.alive.fetch_add(1, Ordering::AcqRel);
        let _alive = Alive(self);
        let (number, command) = {
            let mut state = self.lock();
            state.queries.push(ids.to_vec());
            state.batches += usize::from(batch);
            let (sender, command) = oneshot::channel();
            let waits = self.on_command && !state.released;
            state.commands.push(waits.then_some(sender));
            (state.queries.len() - 1, waits.then_some(command))
        };
        self.begun.notify_one();
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        let outcome = match command {
            Some(command) => command.await.unwrap_or(Outcome::Rows),
            None if self.bad.is_some_and(|bad| ids.contains(&bad)) => Outcome::Error,
            None => Outcome::Rows,
        };
        match outcome {
            Outcome::Rows => Ok(rows),
            Outcome::Error => Err(Error::RepositoryError(format!("query {number}"))),
            Outcome::Panic => panic!("query {number}"),
            Outcome::TooFew => {
                rows.pop();
                Ok(rows)
            }
        }
    }
}

struct Alive<'t>(&'t Table);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::AcqRel);
    }
}

impl DataRepository<Row> for Table {
    async fn fetch_by_id(&self, id: &u32) -> Result<Option<Row>> {
        Ok(self.query(&[*id], false).await?.pop().flatten())
    }

    async fn fetch_by_ids(&self, ids: &[u32]) -> Result<Vec<Option<Row>>> {
        self.query(ids, true).await
    }
}

pub(super) fn coalesced(table: &Arc<Table>, max: usize) -> Coalesced<Row> {
    let max = NonZeroUsize::new(max).expect("not zero");
    Coalesced::new(Arc::new(Arc::clone(table)), max)
}

pub(super) type Loading = Pin<Box<dyn Future<Output = Result<Option<Row>>> + Send>>;

pub(super) fn load(users: &Coalesced<Row>, id: u32) -> Loading {
    let users = users.clone();
    Box::pin(async move { users.load(&id).await })
}

pub(super) fn refresh(users: &Coalesced<Row>, id: u32) -> Loading {
    let users = users.clone();
    Box::pin(async move { users.refresh(&id).await })
}

/// Ends all, side by side in this task.
pub(super) async fn all<const N: usize>(loads: [Loading; N]) -> Vec<Result<Option<Row>>> {
    join(loads.into_iter(), N).await
}

/// Polls once, until then without being woken.
pub(super) fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    match Pin::new(future).poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Lets all tasks run until they wait for something.
pub(super) async fn turns() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Waits until no query is left and nothing waits: a task whose ids or callers have gone ends by
/// itself.
pub(super) async fn at_rest(users: &Coalesced<Row>, table: &Table) {
    for _ in 0..10_000_000 {
        if users.queue.is_empty() && table.alive() == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("something is left");
}
