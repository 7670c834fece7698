//! [`InMemoryRepository`]: rows in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::DataRepository;
use crate::entity::CacheEntity;
use crate::error::Result;

/// A repository of rows in memory, for tests and first steps. Clones share their rows, and all of them
/// may write: give one to the service, and keep one.
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
/// use cache_kit::backend::InMemoryBackend;
/// use cache_kit::{CacheService, InMemoryRepository};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cache_kit::Result<()> {
/// let rows = InMemoryRepository::new();
/// rows.insert(1, User { id: 1, name: "Ann".to_string() });
/// let users = CacheService::new(InMemoryBackend::new()).repository(rows.clone());
/// assert_eq!(users.get(&1).await?.map(|user| user.name.clone()).as_deref(), Some("Ann"));
///
/// rows.insert(1, User { id: 1, name: "Bea".to_string() }); // the cache is not told
/// users.invalidate(&1).await?;
/// assert_eq!(users.get(&1).await?.map(|user| user.name.clone()).as_deref(), Some("Bea"));
/// # Ok(())
/// # }
/// ```
///
/// One that fails, hangs and counts on command is `testing::FakeRepository`, with the feature `testing`.
pub struct InMemoryRepository<T: CacheEntity> {
    rows: Arc<RwLock<HashMap<T::Key, T>>>,
}

impl<T: CacheEntity> InMemoryRepository<T> {
    /// A repository without rows.
    pub fn new() -> Self {
        Self {
            rows: Arc::default(),
        }
    }

    /// Inserts a row, and returns the one that it replaced.
    pub fn insert(&self, id: T::Key, entity: T) -> Option<T> {
        self.write().insert(id, entity)
    }

    /// Removes a row, and returns it.
    pub fn remove(&self, id: &T::Key) -> Option<T> {
        self.write().remove(id)
    }

    /// Removes all rows.
    pub fn clear(&self) {
        let rows = std::mem::take(&mut *self.write());
        // Their `Drop` may be user code, and runs without the lock.
        drop(rows);
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// The rows under `ids`, in their order.
    pub(crate) fn rows(&self, ids: &[T::Key]) -> Vec<Option<T>> {
        let rows = self.read();
        ids.iter().map(|id| rows.get(id).cloned()).collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<T::Key, T>> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<T::Key, T>> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: CacheEntity> DataRepository<T> for InMemoryRepository<T> {
    async fn fetch_by_id(&self, id: &T::Key) -> Result<Option<T>> {
        Ok(self.read().get(id).cloned())
    }

    async fn fetch_by_ids(&self, ids: &[T::Key]) -> Result<Vec<Option<T>>> {
        Ok(self.rows(ids))
    }
}

impl<T: CacheEntity> Default for InMemoryRepository<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: CacheEntity> Clone for InMemoryRepository<T> {
    fn clone(&self) -> Self {
        Self {
            rows: Arc::clone(&self.rows),
        }
    }
}

impl<T: CacheEntity> fmt::Debug for InMemoryRepository<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryRepository")
            .field("rows", &self.len())
            .finish()
    }
}

#[cfg(all(test, not(cache_kit_model)))]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
    struct User {
        id: u32,
        version: u32,
    }

    impl CacheEntity for User {
        type Key = u32;

        fn cache_key(&self) -> u32 {
            self.id
        }

        fn cache_prefix() -> &'static str {
            "user"
        }
    }

    fn user(id: u32, version: u32) -> User {
        User { id, version }
    }

    #[test]
    fn clones_on_several_threads_write_the_same_rows() {
        let rows = InMemoryRepository::new();
        let numbered = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (rows, numbered) = (rows.clone(), &numbered);
                scope.spawn(move || {
                    for _ in 0..100 {
                        let id = numbered.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        assert_eq!(rows.insert(id, user(id, 1)), None);
                    }
                });
            }
        });
        assert_eq!(rows.len(), 400);
        let shared = &rows;
        assert_eq!(shared.insert(7, user(7, 2)), Some(user(7, 1)));
        assert_eq!(shared.remove(&8), Some(user(8, 1)));
        assert_eq!(rows.rows(&[8, 7]), [None, Some(user(7, 2))]);
        shared.clear();
        assert!(rows.is_empty());
    }

    /// Code that was written for `&mut self` goes on to compile.
    #[test]
    #[allow(unused_mut, reason = "what such code has")]
    fn a_repository_may_be_declared_mutable() {
        fn fill(rows: &mut InMemoryRepository<User>) {
            rows.insert(1, user(1, 1));
        }
        let mut rows = InMemoryRepository::new();
        fill(&mut rows);
        rows.insert(2, user(2, 1));
        assert_eq!(rows.len(), 2);
    }
}
