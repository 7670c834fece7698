//! [`FakeRepository`]: a table that fails, hangs, is slow and panics on command.

mod table;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::table::{Mode, Shared, Told};
use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::repository::DataRepository;
use crate::timer;

/// A table in memory that does as a test tells it: it fails, hangs, is slow, panics, and counts how
/// often it is asked. Clones share all of it: give one to the service, and keep one.
///
/// A query reads its rows when it begins. So one that hangs or is slow answers with what they were
/// then, as a database does. What it is told by [`fail`](Self::fail), [`fail_key`](Self::fail_key),
/// [`fail_next`](Self::fail_next) and [`panic_next`](Self::panic_next) is decided then, too.
///
/// # The database is away for a minute
///
/// ```
/// # use cache_kit::CacheEntity;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct User { id: u64, name: String }
/// # impl CacheEntity for User {
/// #     type Key = u64;
/// #     fn cache_key(&self) -> u64 { self.id }
/// #     fn cache_prefix() -> &'static str { "user" }
/// # }
/// use std::time::Duration;
///
/// use cache_kit::backend::InMemoryBackend;
/// use cache_kit::testing::{FakeRepository, ManualClock};
/// use cache_kit::{CacheExpander, CacheService, Error, FreshnessPolicy, TtlPolicy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cache_kit::Result<()> {
/// const SECOND: Duration = Duration::from_secs(1);
///
/// let time = ManualClock::new();
/// let policy = FreshnessPolicy::default().with_stale_if_error(600 * SECOND);
/// let expander = CacheExpander::new(InMemoryBackend::new())
///     .with_clock(time.clock())
///     .with_ttl_policy(TtlPolicy::Fixed(60 * SECOND))
///     .with_freshness(policy);
/// let table = FakeRepository::new();
/// table.insert(User { id: 1, name: "Ann".to_string() });
/// let users = CacheService::from(expander).repository(table.clone());
/// users.get(&1).await?;
///
/// time.advance(60 * SECOND); // the entry is stale from here on
/// table.fail(Error::RepositoryError("connection refused".to_string()));
/// for _ in 0..60 {
///     let (user, outcome) = users.get(&1).with_outcome().await?; // never an error
///     assert!(user.is_some() && outcome.is_stale());
///     time.advance(SECOND);
/// }
/// assert!(table.queries() < 10, "one try in each pause");
///
/// table.work();
/// time.advance(30 * SECOND); // the longest pause
/// users.get(&1).await?;
/// let (_, outcome) = users.get(&1).with_outcome().await?;
/// assert!(outcome.is_hit() && !outcome.is_stale());
/// # Ok(())
/// # }
/// ```
///
/// # Ten callers, one query
///
/// ```
/// # use cache_kit::CacheEntity;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct User { id: u64, name: String }
/// # impl CacheEntity for User {
/// #     type Key = u64;
/// #     fn cache_key(&self) -> u64 { self.id }
/// #     fn cache_prefix() -> &'static str { "user" }
/// # }
/// use cache_kit::CacheService;
/// use cache_kit::backend::InMemoryBackend;
/// use cache_kit::testing::FakeRepository;
/// use tokio::task::JoinSet;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cache_kit::Result<()> {
/// let table = FakeRepository::new();
/// table.insert(User { id: 1, name: "Ann".to_string() });
/// let users = CacheService::new(InMemoryBackend::new()).repository(table.clone());
///
/// table.hang();
/// let mut callers = JoinSet::new();
/// for _ in 0..10 {
///     let users = users.clone();
///     callers.spawn(async move { users.get(&1).await });
/// }
/// table.until_asked(1).await;
/// table.work();
/// for user in callers.join_all().await {
///     assert!(user?.is_some());
/// }
/// assert_eq!(table.queries(), 1);
/// # Ok(())
/// # }
/// ```
///
/// # A slow query, and an update in between
///
/// ```
/// # use cache_kit::CacheEntity;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct User { id: u64, name: String }
/// # impl CacheEntity for User {
/// #     type Key = u64;
/// #     fn cache_key(&self) -> u64 { self.id }
/// #     fn cache_prefix() -> &'static str { "user" }
/// # }
/// use cache_kit::CacheService;
/// use cache_kit::backend::InMemoryBackend;
/// use cache_kit::testing::FakeRepository;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let table = FakeRepository::new();
/// table.insert(User { id: 1, name: "Ann".to_string() });
/// let users = CacheService::new(InMemoryBackend::new()).repository(table.clone());
///
/// table.hang();
/// let slow = tokio::spawn({
///     let users = users.clone();
///     async move { users.get(&1).await }
/// });
/// table.until_asked(1).await; // it has read Ann
///
/// table.insert(User { id: 1, name: "Beth".to_string() });
/// users.invalidate(&1).await?;
/// table.work();
///
/// let user = slow.await??;
/// assert_eq!(user.map(|user| user.name.clone()).as_deref(), Some("Ann")); // it had begun before
/// let user = users.get(&1).await?;
/// assert_eq!(user.map(|user| user.name.clone()).as_deref(), Some("Beth")); // Ann was not stored
/// # Ok(())
/// # }
/// ```
pub struct FakeRepository<T: CacheEntity> {
    shared: Arc<Shared<T>>,
}

impl<T: CacheEntity> FakeRepository<T> {
    /// An empty table that works.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared::new()),
        }
    }

    /// Inserts a row under its own [`cache_key`](CacheEntity::cache_key), and returns the one that it
    /// replaced. The cache is not told.
    pub fn insert(&self, row: T) -> Option<T> {
        let id = row.cache_key();
        self.shared.rows.insert(id, row)
    }

    /// Removes a row. The cache is not told.
    pub fn remove(&self, id: &T::Key) -> Option<T> {
        self.shared.rows.remove(id)
    }

    /// Fails every query with `error` until [`work`](Self::work) or [`hang`](Self::hang), those that
    /// hang included.
    pub fn fail(&self, error: Error) {
        self.shared.turn(Mode::Failing(error.clone()), Err(error));
    }

    /// Fails the next `queries` queries. Told several times, it does one after the other; so with
    /// [`panic_next`](Self::panic_next).
    pub fn fail_next(&self, queries: u64, error: Error) {
        self.shared
            .lock()
            .next
            .push_back((queries, Told::Fail(error)));
    }

    /// Fails every query for `id`, alone or among others, until [`work`](Self::work): a row that does
    /// not decode, say.
    pub fn fail_key(&self, id: &T::Key, error: Error) {
        self.shared.lock().failing.insert(id.clone(), error);
    }

    /// Panics in the next `queries` queries.
    pub fn panic_next(&self, queries: u64) {
        self.shared.lock().next.push_back((queries, Told::Panic));
    }

    /// Lets queries that begin from now on hang until [`work`](Self::work), which answers them, or
    /// [`fail`](Self::fail), which fails them. Queries that are told to fail or to panic do so at once.
    pub fn hang(&self) {
        self.shared.hang();
    }

    /// Lets every query that begins from now on take `duration` more, by tokio's time, until
    /// [`work`](Self::work). Queries that fail are slow, too.
    pub fn slow(&self, duration: Duration) {
        self.shared.lock().slow = duration;
    }

    /// Ends everything that it was told: queries answer at once, and those that hang do, too. Slow ones
    /// that have begun take their time.
    pub fn work(&self) {
        self.shared.lock().works();
        self.shared.turn(Mode::Working, Ok(()));
    }

    /// How many queries have begun: one for each `fetch_by_id`, one for each `fetch_by_ids`.
    pub fn queries(&self) -> u64 {
        self.shared.begun()
    }

    /// How many queries have asked for `id`, alone or among others.
    pub fn queries_of(&self, id: &T::Key) -> u64 {
        self.shared.lock().asked.get(id).copied().unwrap_or(0)
    }

    /// The ids of each `fetch_by_ids`, in the order in which they began.
    pub fn batches(&self) -> Vec<Vec<T::Key>> {
        self.shared.lock().batches.clone()
    }

    /// How many queries hang or are slow at this moment. Those that were dropped do not count.
    pub fn waiting(&self) -> usize {
        self.shared.waiting()
    }

    /// Waits until `queries` queries have begun since the table was made. For one more than now:
    /// `until_asked(table.queries() + 1)`.
    ///
    /// It waits for ever if they do not come; put a [`timeout`](tokio::time::timeout) around it where a
    /// test should say so. It may be dropped at any time.
    pub async fn until_asked(&self, queries: u64) {
        self.shared.until_begun(queries).await;
    }

    /// One query for `ids`.
    async fn query(&self, ids: &[T::Key], batch: bool) -> Result<Vec<Option<T>>> {
        let begun = self.shared.begin(ids, batch);
        if !begun.slow.is_zero() {
            timer::sleep(timer::after(begun.slow), "a slow repository")?.await;
        }
        match begun.told {
            Some(Told::Fail(error)) => return Err(error),
            Some(Told::Panic) => told_to_panic(),
            None => {}
        }
        if let Some(mut ends) = begun.hangs {
            let end = ends.wait_for(Option::is_some).await;
            // Without a sender, the table has gone.
            let end = end.map_or(None, |end| end.clone());
            end.unwrap_or(Ok(()))?;
        }
        Ok(begun.rows)
    }
}

#[allow(clippy::panic, reason = "a test has asked for it")]
fn told_to_panic() {
    panic!("the repository was told to panic");
}

impl<T: CacheEntity> DataRepository<T> for FakeRepository<T> {
    async fn fetch_by_id(&self, id: &T::Key) -> Result<Option<T>> {
        let mut rows = self.query(std::slice::from_ref(id), false).await?;
        Ok(rows.pop().flatten())
    }

    async fn fetch_by_ids(&self, ids: &[T::Key]) -> Result<Vec<Option<T>>> {
        self.query(ids, true).await
    }
}

impl<T: CacheEntity> Default for FakeRepository<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: CacheEntity> Clone for FakeRepository<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T: CacheEntity> fmt::Debug for FakeRepository<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeRepository")
            .field("rows", &self.shared.rows.len())
            .field("queries", &self.queries())
            .field("waiting", &self.waiting())
            .finish()
    }
}
