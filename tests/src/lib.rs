//! Shared by the integration tests: an entity, a repository whose loads stop at a gate, and a
//! stepper that polls futures by hand.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use cache_kit::{CacheEntity, DataRepository, Error, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};

pub mod bench;
pub mod calls;
pub mod chaos;
pub mod late;
pub mod noticed;
pub mod race;
pub mod schedules;
pub mod servers;
pub mod services;
pub mod traced;

/// A row with a version, so that a test can recognize an older one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its key.
    pub id: String,
    /// Grows with every update.
    pub version: u64,
}

impl CacheEntity for Row {
    type Key = String;

    fn cache_key(&self) -> String {
        self.id.clone()
    }

    fn cache_prefix() -> &'static str {
        "row"
    }
}

/// A row whose absence is remembered, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ghost {
    /// Its key.
    pub id: String,
    /// Grows with every update.
    pub version: u64,
}

impl CacheEntity for Ghost {
    type Key = String;

    fn cache_key(&self) -> String {
        self.id.clone()
    }

    fn cache_prefix() -> &'static str {
        "ghost"
    }

    fn cache_negative_ttl() -> Option<Duration> {
        Some(Duration::from_secs(600))
    }
}

/// The row `id` in `version`.
pub fn row(id: &str, version: u64) -> Row {
    Row {
        id: id.to_owned(),
        version,
    }
}

/// A database whose loads read at once and then stop at a gate until they are let through. So their
/// row may be older than the table by then. Clones share the database.
#[derive(Debug, Clone)]
pub struct Gated {
    table: Arc<Mutex<HashMap<String, u64>>>,
    entered: Arc<watch::Sender<usize>>,
    gate: Arc<Semaphore>,
    failing: Arc<Mutex<Option<Error>>>,
    dropped: Arc<AtomicUsize>,
    queries: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Gated {
    /// A database with a closed gate.
    pub fn closed() -> Self {
        Self {
            table: Arc::default(),
            entered: Arc::new(watch::Sender::new(0)),
            gate: Arc::new(Semaphore::new(0)),
            failing: Arc::default(),
            dropped: Arc::default(),
            queries: Arc::default(),
        }
    }

    /// A database with an open gate.
    pub fn open() -> Self {
        let database = Self::closed();
        database.gate.add_permits(Semaphore::MAX_PERMITS);
        database
    }

    /// The same table behind a gate of its own, which is open.
    pub fn with_open_gate(&self) -> Self {
        Self {
            table: Arc::clone(&self.table),
            ..Self::open()
        }
    }

    /// Writes a row.
    pub fn set(&self, id: &str, version: u64) {
        lock(&self.table).insert(id.to_owned(), version);
    }

    /// Lets `loads` loads through the gate.
    pub fn let_through(&self, loads: usize) {
        self.gate.add_permits(loads);
    }

    /// Makes every load fail, or none.
    pub fn fail(&self, error: Option<Error>) {
        *lock(&self.failing) = error;
    }

    /// How many loads have begun.
    pub fn loads(&self) -> usize {
        *self.entered.borrow()
    }

    /// The keys of each load, in the order in which they began.
    pub fn queries(&self) -> Vec<Vec<String>> {
        lock(&self.queries).clone()
    }

    /// How many loads were dropped at the gate.
    pub fn dropped(&self) -> usize {
        self.dropped.load(Ordering::Acquire)
    }

    /// Waits until `loads` loads have begun in all.
    pub async fn entered(&self, loads: usize) {
        let mut seen = self.entered.subscribe();
        let enough = seen.wait_for(|entered| *entered >= loads).await;
        assert!(enough.is_ok(), "the database went away");
    }
}

impl DataRepository<Row> for Gated {
    async fn fetch_by_id(&self, id: &String) -> Result<Option<Row>> {
        let mut found = self.load(std::slice::from_ref(id)).await?;
        Ok(found.pop().flatten())
    }

    /// Counts as one load, and passes the gate once.
    async fn fetch_by_ids(&self, ids: &[String]) -> Result<Vec<Option<Row>>> {
        self.load(ids).await
    }
}

/// The rows of a database as ghosts.
#[derive(Debug, Clone, Copy)]
pub struct Ghosts<'a>(pub &'a Gated);

impl DataRepository<Ghost> for Ghosts<'_> {
    async fn fetch_by_id(&self, id: &String) -> Result<Option<Ghost>> {
        Ok(self.0.fetch_by_id(id).await?.map(ghost))
    }

    async fn fetch_by_ids(&self, ids: &[String]) -> Result<Vec<Option<Ghost>>> {
        let rows = self.0.fetch_by_ids(ids).await?;
        Ok(rows.into_iter().map(|row| row.map(ghost)).collect())
    }
}

fn ghost(row: Row) -> Ghost {
    Ghost {
        id: row.id,
        version: row.version,
    }
}

impl Gated {
    async fn load(&self, ids: &[String]) -> Result<Vec<Option<Row>>> {
        let found = {
            let table = lock(&self.table);
            let find = |id: &String| table.get(id).map(|version| row(id, *version));
            ids.iter().map(find).collect()
        };
        lock(&self.queries).push(ids.to_vec());
        self.entered.send_modify(|entered| *entered += 1);
        let watch = DropCount(Some(&self.dropped));
        let permit = self.gate.acquire().await;
        watch.passed();
        if let Ok(permit) = permit {
            permit.forget();
        }
        match lock(&self.failing).clone() {
            Some(error) => Err(error),
            None => Ok(found),
        }
    }
}

struct DropCount<'a>(Option<&'a AtomicUsize>);

impl DropCount<'_> {
    fn passed(mut self) {
        self.0 = None;
    }
}

impl Drop for DropCount<'_> {
    fn drop(&mut self) {
        if let Some(dropped) = self.0 {
            dropped.fetch_add(1, Ordering::AcqRel);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Is pending once. It wakes at once, while `yield_now` wakes through the runtime, which a [`Step`]
/// cannot wait for.
pub async fn one_turn() {
    let mut taken = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut taken, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A future that is polled by hand, and dropped when a test says so.
pub struct Step<'a, O> {
    future: Option<Pin<Box<dyn Future<Output = O> + 'a>>>,
    woken: Arc<Woken>,
}

impl<O> std::fmt::Debug for Step<'_, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Step")
            .field("running", &self.future.is_some())
            .finish()
    }
}

#[derive(Debug, Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

impl<'a, O> Step<'a, O> {
    /// A future that has not been polled.
    pub fn new(future: impl Future<Output = O> + 'a) -> Self {
        Self {
            future: Some(Box::pin(future)),
            woken: Arc::default(),
        }
    }

    /// Polls once.
    pub fn poll(&mut self) -> Poll<O> {
        let Some(future) = &mut self.future else {
            return Poll::Pending;
        };
        let waker = Waker::from(Arc::clone(&self.woken));
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            self.future = None;
        }
        polled
    }

    /// How often it has been woken.
    pub fn wakes(&self) -> usize {
        self.woken.0.load(Ordering::Acquire)
    }

    /// Whether it has neither ended nor been cancelled.
    pub fn is_running(&self) -> bool {
        self.future.is_some()
    }

    /// Drops the future in its current state.
    pub fn cancel(&mut self) {
        self.future = None;
    }
}
