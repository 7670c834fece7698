//! [`CachedRepository`]: a repository with its cache in front.

mod get;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::{AnyBackend, CacheBackend, Cleared, Invalidated};
use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::expander::{Opened, Owned, Rows};
use crate::observability::Outcome;
use crate::policy::{NoSettings, OperationConfig};
use crate::repository::DataRepository;
use crate::service::CacheService;
use crate::strategy::Reader;

pub use get::{Get, GetMany, GetManyWithOutcome, GetWithOutcome};

/// A repository with its cache in front: cheap to clone, `Send + Sync`, and a [`DataRepository`]
/// itself. Made by [`CacheService::repository`].
///
/// ```
/// use std::sync::Arc;
///
/// use cache_kit::backend::AnyBackend;
/// use cache_kit::{CacheEntity, CacheService, CachedRepository, DataRepository};
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct User { id: u64 }
/// # impl CacheEntity for User {
/// #     type Key = u64;
/// #     fn cache_key(&self) -> u64 { self.id }
/// #     fn cache_prefix() -> &'static str { "user" }
/// # }
/// # struct UserRepository;
/// # impl DataRepository<User> for UserRepository {
/// #     async fn fetch_by_id(&self, id: &u64) -> cache_kit::Result<Option<User>> {
/// #         Ok(Some(User { id: *id }))
/// #     }
/// # }
///
/// #[derive(Clone)]
/// struct App {
///     users: CachedRepository<User>, // over `AnyBackend`, unless it says otherwise
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cache_kit::Result<()> {
/// let cache = CacheService::new(AnyBackend::from_url("memory://?ttl=5m")?);
/// let app = App { users: cache.repository(UserRepository) };
///
/// let user: Option<Arc<User>> = app.users.get(&42).await?;
/// let many: Vec<Option<Arc<User>>> = app.users.get_many(&[1, 2, 3]).await?;
///
/// // After an update has been committed:
/// app.users.invalidate(&42).await?;
/// # assert!(user.is_some() && many.len() == 3);
/// # Ok(())
/// # }
/// ```
///
/// # Loads
///
/// A load runs in a task of its own, on the runtime of the caller that misses. So it goes on when its
/// callers go away: its result is stored, and the next caller hits. The load deadline bounds it
/// ([`OperationConfig::with_load_deadline`], 8 s). Entries that may be answered while they are refreshed
/// ([`FreshnessPolicy`](crate::FreshnessPolicy)) are refreshed in the background.
///
/// There are at most 1,024 such tasks in a service
/// ([`CacheExpander::with_background_tasks`](crate::CacheExpander::with_background_tasks)). Beyond that
/// a caller loads for itself, as with [`CacheService::execute`], and refreshes are left out. Before a
/// process ends, [`drain`](Self::drain) waits for them. If a runtime ends, so do its tasks, and callers
/// on other runtimes load for themselves.
///
/// # Loads of different keys in one query
///
/// With [`coalesce_loads`](Self::coalesce_loads), keys that miss at the same time are loaded by one
/// [`fetch_by_ids`](DataRepository::fetch_by_ids).
pub struct CachedRepository<T: CacheEntity, B: CacheBackend = AnyBackend> {
    service: CacheService<B>,
    owned: Arc<Owned<T, B>>,
    /// None by default: a hit copies nothing.
    config: Option<OperationConfig>,
}

impl<T: CacheEntity, B: CacheBackend> CachedRepository<T, B> {
    pub(crate) fn new<R>(service: CacheService<B>, repository: R) -> Self
    where
        R: DataRepository<T> + 'static,
    {
        Self::over(service, Rows::of(repository), None)
    }

    fn over(service: CacheService<B>, rows: Rows<T>, config: Option<OperationConfig>) -> Self {
        let owned = Owned {
            expander: Arc::clone(service.shared()),
            rows,
        };
        Self {
            service,
            owned: Arc::new(owned),
            config,
        }
    }

    /// Loads keys that miss within one turn of the scheduler, or while a load is running, by one
    /// [`fetch_by_ids`](DataRepository::fetch_by_ids) of at most `most` keys; so do refreshes. Worth it
    /// where `fetch_by_ids` is one query; the default of the trait loads one key after the other. A key that misses alone is loaded at once, by `fetch_by_id`.
    /// Default: every key is loaded by a query of its own.
    ///
    /// Only the query is shared: each key has its own lease, deadline and retries. If the query fails,
    /// each of its keys is loaded by a query of its own, so that one bad row fails one call; a refresh
    /// is tried again after its pause.
    ///
    /// It counts for this repository and the clones that are made of it from then on.
    ///
    /// # Errors
    /// [`Error::ConfigError`] if `most` is zero.
    pub fn coalesce_loads(self, most: usize) -> Result<Self> {
        let most = NonZeroUsize::new(most).ok_or_else(|| {
            Error::ConfigError("coalesce_loads: at least 1 key in a query, not 0".into())
        })?;
        let rows = self.owned.rows.clone().coalesced(most);
        Ok(Self::over(self.service, rows, self.config))
    }

    /// Settings for all calls of this repository and of the clones that are made of it from then on,
    /// where a call does not set its own. Default: none.
    ///
    /// They are settings of each call. So a time to live among them belongs to the entries, and no
    /// later deploy shortens it; one of the entity or of the service's
    /// [`TtlPolicy`](crate::TtlPolicy) it does.
    pub fn with_config(mut self, config: OperationConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// The entity under `id`, or `None` if there is none: from the cache, else from the repository.
    /// Await it, or set more before: [`strategy`](Get::strategy), [`ttl`](Get::ttl),
    /// [`deadline`](Get::deadline), [`with_outcome`](Get::with_outcome).
    ///
    /// ```
    /// # use cache_kit::{CacheEntity, CacheService, CacheStrategy};
    /// # use cache_kit::backend::InMemoryBackend;
    /// # use cache_kit::repository::from_fn;
    /// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
    /// # struct User { id: u64 }
    /// # impl CacheEntity for User {
    /// #     type Key = u64;
    /// #     fn cache_key(&self) -> u64 { self.id }
    /// #     fn cache_prefix() -> &'static str { "user" }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cache_kit::Result<()> {
    /// # let cache = CacheService::new(InMemoryBackend::new());
    /// # let users = cache.repository(from_fn(|id: &u64| std::future::ready(Ok(Some(User { id: *id })))));
    /// let user = users.get(&1).await?;
    /// let (user, outcome) = users.get(&1).strategy(CacheStrategy::Bypass).with_outcome().await?;
    /// # assert!(user.is_some() && !outcome.is_hit());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`CacheExpander::with`](crate::CacheExpander::with).
    ///
    /// # Cancellation
    /// If the future is dropped, a load that it has begun goes on. A hit in memory does not await.
    pub fn get<'r>(&'r self, id: &'r T::Key) -> Get<'r, T, B> {
        Get::new(self, id)
    }

    /// The entities under `ids`, in their order; `None` where there is none. One look-up, and one
    /// [`fetch_by_ids`](DataRepository::fetch_by_ids) for the misses that no other call is loading.
    ///
    /// # Errors
    /// As [`CacheExpander::with_many`](crate::CacheExpander::with_many).
    ///
    /// # Cancellation
    /// As [`get`](Self::get).
    pub fn get_many<'r>(&'r self, ids: &'r [T::Key]) -> GetMany<'r, T, B> {
        GetMany::new(self, ids)
    }

    /// The entity under `id`, if memory has a fresh one. It neither waits nor loads; a remote store is
    /// never asked. `None` does not say that there is no entity.
    pub fn try_get(&self, id: &T::Key) -> Option<Arc<T>> {
        let expander = &self.owned.expander;
        let opened = match &self.config {
            None => expander.open(id, Reader::Fresh, &NoSettings),
            Some(config) => expander.open(id, Reader::Fresh, config),
        };
        match opened {
            Opened::Hit {
                value: Some(entity),
                age,
                since,
            } => {
                let told = (Reader::Fresh, Outcome::hit(age), since);
                expander.report_hit::<T>(Some(id), true, told);
                Some(entity)
            }
            _ => None,
        }
    }

    /// Drops what the cache has under `id`: see
    /// [`CacheExpander::invalidate`](crate::CacheExpander::invalidate).
    ///
    /// # Errors
    /// As there.
    pub fn invalidate(&self, id: &T::Key) -> impl Future<Output = Result<Invalidated>> + Send {
        self.owned.expander.invalidate::<T>(id)
    }

    /// Drops what the cache has under all of `ids`: see
    /// [`CacheExpander::invalidate_many`](crate::CacheExpander::invalidate_many).
    ///
    /// # Errors
    /// As there.
    pub fn invalidate_many(
        &self,
        ids: &[T::Key],
    ) -> impl Future<Output = Result<Invalidated>> + Send {
        self.owned.expander.invalidate_many::<T>(ids)
    }

    /// Drops all entries of this type, with a walk over all keys of the store: see
    /// [`CacheExpander::clear`](crate::CacheExpander::clear).
    ///
    /// # Errors
    /// As there.
    pub fn clear(&self) -> impl Future<Output = Result<Cleared>> + Send {
        self.owned.expander.clear::<T>()
    }

    /// The whole cache key of `id`: see [`CacheExpander::cache_key`](crate::CacheExpander::cache_key).
    ///
    /// # Errors
    /// As there.
    pub fn cache_key(&self, id: &T::Key) -> Result<String> {
        self.owned.expander.cache_key::<T>(id)
    }

    /// Ends the loads and refreshes of the whole service, for all of its repositories: see
    /// [`CacheExpander::drain`](crate::CacheExpander::drain).
    ///
    /// # Errors
    /// As there.
    pub fn drain(&self, deadline: Duration) -> impl Future<Output = Result<()>> + Send {
        self.service.drain(deadline)
    }

    /// The service in front of the repository.
    pub fn service(&self) -> &CacheService<B> {
        &self.service
    }
}

/// For a service that wants this one's entities by way of its own cache. In a call of the *same* service
/// it would wait for itself, up to the load deadline: such a call takes the repository behind it.
impl<T: CacheEntity, B: CacheBackend> DataRepository<T> for CachedRepository<T, B> {
    async fn fetch_by_id(&self, id: &T::Key) -> Result<Option<T>> {
        let entity = self.get(id).await?;
        Ok(entity.map(Arc::unwrap_or_clone))
    }

    async fn fetch_by_ids(&self, ids: &[T::Key]) -> Result<Vec<Option<T>>> {
        let entities = self.get_many(ids).await?;
        let owned = |entity: Option<Arc<T>>| entity.map(Arc::unwrap_or_clone);
        Ok(entities.into_iter().map(owned).collect())
    }
}

impl<T: CacheEntity, B: CacheBackend> Clone for CachedRepository<T, B> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            owned: Arc::clone(&self.owned),
            config: self.config,
        }
    }
}

impl<T: CacheEntity, B: CacheBackend + fmt::Debug> fmt::Debug for CachedRepository<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedRepository")
            .field("entity", &format_args!("{}", T::cache_prefix()))
            .field("repository", &self.owned.rows)
            .field("service", &self.service)
            .finish()
    }
}
