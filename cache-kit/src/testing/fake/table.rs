//! [`Shared`]: the rows, what queries were told to do, and what they have asked for.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::repository::InMemoryRepository;

/// What all clones of a repository share.
pub(super) struct Shared<T: CacheEntity> {
    pub(super) rows: InMemoryRepository<T>,
    table: Mutex<Table<T>>,
    /// How many queries have begun.
    begun: watch::Sender<u64>,
    /// How many of them have not ended.
    waiting: AtomicUsize,
}

/// What queries were told to do, and what they have asked for.
pub(super) struct Table<T: CacheEntity> {
    pub(super) slow: Duration,
    /// What the next queries do, and how many of them.
    pub(super) next: VecDeque<(u64, Told)>,
    pub(super) failing: HashMap<T::Key, Error>,
    /// How often each id was asked for.
    pub(super) asked: HashMap<T::Key, u64>,
    pub(super) batches: Vec<Vec<T::Key>>,
    mode: Mode,
}

/// What queries do that were told nothing else.
pub(super) enum Mode {
    Working,
    Failing(Error),
    /// They wait until this says how they end.
    Hanging(watch::Sender<Option<Result<()>>>),
}

/// What a query does in place of answering.
#[derive(Clone)]
pub(super) enum Told {
    Fail(Error),
    Panic,
}

/// A query that has begun.
pub(super) struct Begun<'s, T: CacheEntity> {
    pub(super) rows: Vec<Option<T>>,
    pub(super) told: Option<Told>,
    pub(super) slow: Duration,
    /// What it waits for.
    pub(super) hangs: Option<watch::Receiver<Option<Result<()>>>>,
    _waiting: Waiting<'s>,
}

impl<T: CacheEntity> Shared<T> {
    pub(super) fn new() -> Self {
        Self {
            rows: InMemoryRepository::new(),
            table: Mutex::new(Table {
                slow: Duration::ZERO,
                next: VecDeque::new(),
                failing: HashMap::new(),
                asked: HashMap::new(),
                batches: Vec::new(),
                mode: Mode::Working,
            }),
            begun: watch::Sender::new(0),
            waiting: AtomicUsize::new(0),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Table<T>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many queries have begun.
    pub(super) fn begun(&self) -> u64 {
        *self.begun.borrow()
    }

    pub(super) async fn until_begun(&self, queries: u64) {
        let mut begun = self.begun.subscribe();
        // It has no error: the sender is here.
        let _ = begun.wait_for(|begun| *begun >= queries).await;
    }

    /// How many queries have not ended.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Queries that begin from now on hang.
    pub(super) fn hang(&self) {
        let mut table = self.lock();
        // Those that hang already go on with these.
        if !matches!(table.mode, Mode::Hanging(_)) {
            table.mode = Mode::Hanging(watch::Sender::new(None));
        }
    }

    /// Goes on in another mode. Queries that hang end with `end`.
    pub(super) fn turn(&self, mode: Mode, end: Result<()>) {
        let before = mem::replace(&mut self.lock().mode, mode);
        // Wakes them, outside of the lock.
        if let Mode::Hanging(ends) = before {
            ends.send_replace(Some(end));
        }
    }

    /// A query for `ids` begins: what it does, and what it answers, is decided here.
    pub(super) fn begin(&self, ids: &[T::Key], batch: bool) -> Begun<'_, T> {
        let waiting = Waiting::new(&self.waiting);
        let begun = {
            let mut table = self.lock();
            for id in ids {
                *table.asked.entry(id.clone()).or_default() += 1;
            }
            if batch {
                table.batches.push(ids.to_vec());
            }
            let told = table.told(ids);
            Begun {
                rows: self.rows.rows(ids),
                hangs: match &table.mode {
                    Mode::Hanging(ends) => Some(ends.subscribe()),
                    Mode::Working | Mode::Failing(_) => None,
                },
                told,
                slow: table.slow,
                _waiting: waiting,
            }
        };
        // Wakes those who wait for it, outside of the lock.
        self.begun.send_modify(|begun| *begun += 1);
        begun
    }
}

impl<T: CacheEntity> Table<T> {
    /// Forgets what the queries to come were told.
    pub(super) fn works(&mut self) {
        self.slow = Duration::ZERO;
        self.next.clear();
        self.failing.clear();
    }

    /// What a query for `ids` was told to do.
    fn told(&mut self, ids: &[T::Key]) -> Option<Told> {
        while let Some((queries, told)) = self.next.front_mut() {
            if *queries > 0 {
                *queries -= 1;
                return Some(told.clone());
            }
            self.next.pop_front();
        }
        let error = match &self.mode {
            Mode::Failing(error) => Some(error),
            Mode::Working | Mode::Hanging(_) => ids.iter().find_map(|id| self.failing.get(id)),
        };
        error.cloned().map(Told::Fail)
    }
}

/// Counts as waiting while it lives.
struct Waiting<'s>(&'s AtomicUsize);

impl<'s> Waiting<'s> {
    fn new(waiting: &'s AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::AcqRel);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
