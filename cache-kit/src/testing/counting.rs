//! [`CountingRepository`]: counts the queries of a repository.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::entity::CacheEntity;
use crate::error::Result;
use crate::repository::DataRepository;

/// Wraps a repository and counts its queries. Clones share the count.
///
/// ```
/// # use cache_kit::CacheEntity;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct User { id: String }
/// # impl CacheEntity for User {
/// #     type Key = String;
/// #     fn cache_key(&self) -> String { self.id.clone() }
/// #     fn cache_prefix() -> &'static str { "user" }
/// # }
/// use cache_kit::InMemoryRepository;
/// use cache_kit::testing::CountingRepository;
///
/// let users = CountingRepository::new(InMemoryRepository::<User>::new());
/// assert_eq!(users.queries(), 0);
/// ```
#[derive(Debug)]
pub struct CountingRepository<R> {
    inner: Arc<R>,
    queries: Arc<AtomicU64>,
}

impl<R> CountingRepository<R> {
    /// Counts the queries of `inner`.
    pub fn new(inner: R) -> Self {
        Self {
            inner: Arc::new(inner),
            queries: Arc::default(),
        }
    }

    /// How many queries there were: one for each `fetch_by_id`, one for each `fetch_by_ids`.
    pub fn queries(&self) -> u64 {
        self.queries.load(Ordering::Acquire)
    }

    fn count(&self) {
        self.queries.fetch_add(1, Ordering::AcqRel);
    }
}

impl<T: CacheEntity, R: DataRepository<T>> DataRepository<T> for CountingRepository<R> {
    async fn fetch_by_id(&self, id: &T::Key) -> Result<Option<T>> {
        self.count();
        self.inner.fetch_by_id(id).await
    }

    async fn fetch_by_ids(&self, ids: &[T::Key]) -> Result<Vec<Option<T>>> {
        self.count();
        self.inner.fetch_by_ids(ids).await
    }
}

impl<R> Clone for CountingRepository<R> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            queries: Arc::clone(&self.queries),
        }
    }
}
