//! [`DataRepository`]: loads entities from their source.

mod in_memory;

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use crate::entity::CacheEntity;
use crate::error::Result;
use crate::key::is_unwritten;

pub use in_memory::InMemoryRepository;

/// Loads entities by key: a database, an HTTP service, a file.
///
/// Write plain `async fn` in the impl; the futures must be `Send`:
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
/// # struct Pool;
/// # impl Pool { async fn query(&self, id: &str) -> std::io::Result<Option<User>> { Ok(None) } }
/// use cache_kit::{DataRepository, Error};
///
/// struct UserRepository {
///     pool: Pool,
/// }
///
/// impl DataRepository<User> for UserRepository {
///     async fn fetch_by_id(&self, id: &String) -> cache_kit::Result<Option<User>> {
///         self.pool.query(id).await.map_err(Error::repository)
///     }
/// }
/// ```
///
/// `&R`, `Arc<R>` and `Box<R>` are repositories where `R` is one. For a repository chosen at run
/// time see [`DynRepository`]; for one written as a closure, [`from_fn`].
///
/// # What it must read
/// Committed rows, as they are when it is asked or later. Inside an open transaction it would see rows that
/// are not committed, or a snapshot from before an update that has been invalidated since, and what it
/// returns is stored for everybody. So lend a connection, not a transaction.
///
/// # Cancellation
/// A load is dropped when its caller goes away and no other call waits for it, and when the load
/// deadline passes. A repository must allow for that at every await.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not load a `{T}`",
    label = "not a repository of `{T}`",
    note = "implement `DataRepository<{T}>` for it, or pass `repository::from_fn(…)`"
)]
pub trait DataRepository<T: CacheEntity>: Send + Sync {
    /// Loads one entity; `None` if there is none. The entity's own
    /// [`cache_key`](CacheEntity::cache_key) must be `id`: another row is an error of the call, and
    /// is not stored.
    ///
    /// # Errors
    /// [`Error::RepositoryError`](crate::Error::RepositoryError) with a text, or
    /// [`Error::repository`](crate::Error::repository) to keep the original error.
    fn fetch_by_id(&self, id: &T::Key) -> impl Future<Output = Result<Option<T>>> + Send;

    /// Loads many entities: one answer per id, in the same order.
    ///
    /// By default one after the other; a repository that can ask for all at once
    /// (`WHERE id = ANY($1)`) overrides it. A database returns such rows in any order, and leaves
    /// out missing ones: [`in_order`] puts them into the order of the ids. No id comes twice.
    ///
    /// # Errors
    /// The first error ends it.
    fn fetch_by_ids(&self, ids: &[T::Key]) -> impl Future<Output = Result<Vec<Option<T>>>> + Send {
        async move {
            let mut rows = Vec::with_capacity(ids.len());
            for id in ids {
                rows.push(self.fetch_by_id(id).await?);
            }
            Ok(rows)
        }
    }
}

/// Puts rows, as `WHERE id IN (…)` returns them, into the order of `ids`; `None` where there is no
/// row. Rows that were not asked for are left out.
///
/// A row without a key, because the `Display` of a part of its template failed, takes the place of a
/// missing one. The call that asked then fails with an error that names both keys; the row is never
/// taken for absent.
///
/// ```
/// # use cache_kit::CacheEntity;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct User { id: u64 }
/// # impl CacheEntity for User {
/// #     type Key = u64;
/// #     fn cache_key(&self) -> u64 { self.id }
/// #     fn cache_prefix() -> &'static str { "user" }
/// # }
/// use cache_kit::repository::in_order;
///
/// let rows = vec![User { id: 3 }, User { id: 1 }];
/// let users = in_order(&[1, 2, 3], rows);
/// let ids = users.iter().map(|user| user.as_ref().map(|user| user.id));
/// assert!(ids.eq([Some(1), None, Some(3)]));
/// ```
pub fn in_order<T: CacheEntity>(
    ids: &[T::Key],
    rows: impl IntoIterator<Item = T>,
) -> Vec<Option<T>> {
    let (mut by_key, mut without_key) = (HashMap::new(), Vec::new());
    for row in rows {
        let key = row.cache_key();
        match (&key as &dyn Any).downcast_ref::<String>() {
            Some(text) if is_unwritten(text) => without_key.push(row),
            _ => {
                by_key.insert(key, row);
            }
        }
    }
    let mut ordered: Vec<Option<T>> = ids.iter().map(|id| by_key.remove(id)).collect();
    let missing = ordered.iter_mut().filter(|row| row.is_none());
    for (place, row) in missing.zip(without_key) {
        *place = Some(row);
    }
    ordered
}

macro_rules! forward_repository {
    ($($pointer:ty),*) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<T: CacheEntity, R: DataRepository<T> + ?Sized> DataRepository<T> for $pointer {
            fn fetch_by_id(&self, id: &T::Key) -> impl Future<Output = Result<Option<T>>> + Send {
                (**self).fetch_by_id(id)
            }

            fn fetch_by_ids(
                &self,
                ids: &[T::Key],
            ) -> impl Future<Output = Result<Vec<Option<T>>>> + Send {
                (**self).fetch_by_ids(ids)
            }
        }
    )*};
}

forward_repository!(&R, Arc<R>, Box<R>);

type BoxFuture<'a, O> = Pin<Box<dyn Future<Output = O> + Send + 'a>>;

/// [`DataRepository`] as a trait object: every repository is one, and
/// `dyn DynRepository<T>` is a repository again.
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
/// use std::sync::Arc;
/// use cache_kit::repository::{DynRepository, InMemoryRepository};
///
/// let chosen: Arc<dyn DynRepository<User>> = Arc::new(InMemoryRepository::<User>::new());
/// ```
pub trait DynRepository<T: CacheEntity>: Send + Sync {
    /// [`DataRepository::fetch_by_id`], boxed.
    fn fetch_by_id_boxed<'a>(&'a self, id: &'a T::Key) -> BoxFuture<'a, Result<Option<T>>>;

    /// [`DataRepository::fetch_by_ids`], boxed.
    fn fetch_by_ids_boxed<'a>(&'a self, ids: &'a [T::Key])
    -> BoxFuture<'a, Result<Vec<Option<T>>>>;
}

impl<T: CacheEntity, R: DataRepository<T>> DynRepository<T> for R {
    fn fetch_by_id_boxed<'a>(&'a self, id: &'a T::Key) -> BoxFuture<'a, Result<Option<T>>> {
        Box::pin(self.fetch_by_id(id))
    }

    fn fetch_by_ids_boxed<'a>(
        &'a self,
        ids: &'a [T::Key],
    ) -> BoxFuture<'a, Result<Vec<Option<T>>>> {
        Box::pin(self.fetch_by_ids(ids))
    }
}

#[deny(clippy::missing_trait_methods)]
impl<T: CacheEntity> DataRepository<T> for dyn DynRepository<T> + '_ {
    async fn fetch_by_id(&self, id: &T::Key) -> Result<Option<T>> {
        self.fetch_by_id_boxed(id).await
    }

    async fn fetch_by_ids(&self, ids: &[T::Key]) -> Result<Vec<Option<T>>> {
        self.fetch_by_ids_boxed(ids).await
    }
}

/// A repository from a function from a key to a future.
///
/// Give it an `async fn`, or a closure that clones what it needs (a pool, a client) into an
/// `async move` block:
///
/// ```
/// # use cache_kit::CacheEntity;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct User { id: u64 }
/// # impl CacheEntity for User {
/// #     type Key = u64;
/// #     fn cache_key(&self) -> u64 { self.id }
/// #     fn cache_prefix() -> &'static str { "user" }
/// # }
/// use cache_kit::repository::{self, DataRepository};
///
/// async fn load_user(id: &u64) -> cache_kit::Result<Option<User>> {
///     Ok(Some(User { id: *id }))
/// }
///
/// let from_async_fn = repository::from_fn(load_user);
///
/// # let pool = std::sync::Arc::new(());
/// let from_closure = repository::from_fn(move |id: &u64| {
///     let (pool, id) = (pool.clone(), *id);
///     async move {
///         # let _ = pool;
///         Ok(Some(User { id }))
///     }
/// });
/// # fn is_repository(_: &impl DataRepository<User>) {}
/// # is_repository(&from_async_fn);
/// # is_repository(&from_closure.clone());
/// ```
pub fn from_fn<T, F>(load: F) -> FromFn<T, F>
where
    T: CacheEntity,
    F: for<'a> LoadFn<'a, T::Key, T> + Send + Sync,
{
    FromFn {
        load,
        entity: PhantomData,
    }
}

/// A function that [`from_fn`] accepts. It exists because `AsyncFn` cannot promise that its
/// future is `Send`; there is no reason to name or implement it.
pub trait LoadFn<'a, K: 'a, T>: Fn(&'a K) -> <Self as LoadFn<'a, K, T>>::Loading {
    /// The future that the function returns.
    type Loading: Future<Output = Result<Option<T>>> + Send + 'a;
}

impl<'a, K: 'a, T, F, L> LoadFn<'a, K, T> for F
where
    F: Fn(&'a K) -> L,
    L: Future<Output = Result<Option<T>>> + Send + 'a,
{
    type Loading = L;
}

/// The repository that [`from_fn`] makes. It can be cloned if the function can.
pub struct FromFn<T, F> {
    load: F,
    entity: PhantomData<fn() -> T>,
}

impl<T, F: Clone> Clone for FromFn<T, F> {
    fn clone(&self) -> Self {
        Self {
            load: self.load.clone(),
            entity: PhantomData,
        }
    }
}

impl<T, F> DataRepository<T> for FromFn<T, F>
where
    T: CacheEntity,
    F: for<'a> LoadFn<'a, T::Key, T> + Send + Sync,
{
    fn fetch_by_id(&self, id: &T::Key) -> impl Future<Output = Result<Option<T>>> + Send {
        (self.load)(id)
    }
}

impl<T, F> fmt::Debug for FromFn<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").finish_non_exhaustive()
    }
}
