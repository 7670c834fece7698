//! [`CacheService`]: the handle that a service keeps and clones.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::{CacheBackend, Cleared, Health, Invalidated};
use crate::cached::CachedRepository;
use crate::entity::CacheEntity;
use crate::error::Result;
use crate::expander::CacheExpander;
use crate::feed::{CacheFeed, CacheFeedMany};
use crate::observability::{CacheMetrics, Outcome};
use crate::policy::OperationConfig;
use crate::repository::DataRepository;
use crate::strategy::CacheStrategy;

/// A [`CacheExpander`] that is shared: cheap to clone, `Send + Sync`, whatever the backend.
///
/// Clones are one service: they share the backend, and concurrent misses of a key make one load.
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
/// use cache_kit::backend::InMemoryBackend;
/// use cache_kit::feed::GenericFeeder;
/// use cache_kit::repository::InMemoryRepository;
/// use cache_kit::{CacheService, CacheStrategy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cache_kit::Result<()> {
/// let users = InMemoryRepository::new();
/// users.insert("user_001".to_string(), User { id: "user_001".to_string() });
///
/// let cache = CacheService::new(InMemoryBackend::new());
/// let mut feeder = GenericFeeder::<User>::new("user_001".to_string());
///
/// let first = cache.execute(&mut feeder, &users, CacheStrategy::Refresh).await?;
/// assert!(!first.is_hit());
/// let second = cache.execute(&mut feeder, &users, CacheStrategy::Refresh).await?;
/// assert!(second.is_hit());
/// assert!(feeder.data.is_some());
/// # Ok(())
/// # }
/// ```
pub struct CacheService<B: CacheBackend> {
    expander: Arc<CacheExpander<B>>,
}

impl<B: CacheBackend> CacheService<B> {
    /// A service over `backend` with the defaults. To set more, build a [`CacheExpander`] and
    /// turn it into a service with [`CacheService::from`].
    pub fn new(backend: B) -> Self {
        CacheExpander::new(backend).into()
    }

    /// A service over `backend` that reports everything that happens to `metrics`: see
    /// [`CacheExpander::with_metrics`].
    pub fn with_metrics(backend: B, metrics: Box<dyn CacheMetrics>) -> Self {
        CacheExpander::new(backend).with_metrics(metrics).into()
    }

    /// Answers one request: see [`CacheExpander::with`].
    ///
    /// # Cancellation
    /// The load borrows `repository`, so it lives no longer than this call and those that follow
    /// it: when all of them are dropped, so is the load. If callers give up sooner than a load
    /// takes, every load is begun and dropped, and none ends. A [`CachedRepository`] loads in tasks of
    /// their own, which go on without their callers.
    ///
    /// # Freshness
    /// An entry that is answered while it is refreshed ([`FreshnessPolicy`](crate::FreshnessPolicy)) is
    /// refreshed by one of its callers, who waits for that load; the others go on with the entry. A
    /// caller whose turn it is to refresh ahead waits as well. `answer_within` has no effect.
    ///
    /// # Waiting for other calls
    /// A call that follows another call's load waits for as long as its own load deadline allows.
    /// If the other call is alive but not polled (it lost a `select!`, or it is in a stream that
    /// its consumer does not read), this one notices within about a second, and loads.
    ///
    /// # A repository that reads through the cache
    /// A [`CachedRepository`] of this same service must not be passed here for its own entities: its
    /// load would wait for itself, up to the load deadline. Pass the repository behind it.
    ///
    /// A repository may read another key through the same service. If it passes itself as the
    /// repository, the compiler cannot determine the type of the future (E0391): box that call.
    ///
    /// ```
    /// # use cache_kit::backend::InMemoryBackend;
    /// # use cache_kit::{CacheEntity, CacheService, CacheStrategy, DataRepository, SharedFeeder};
    /// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
    /// # struct Folder { id: u64, parent: Option<u64>, depth: u64 }
    /// # impl CacheEntity for Folder {
    /// #     type Key = u64;
    /// #     fn cache_key(&self) -> u64 { self.id }
    /// #     fn cache_prefix() -> &'static str { "folder" }
    /// # }
    /// use std::future::Future;
    /// use std::pin::Pin;
    ///
    /// struct Folders {
    ///     cache: CacheService<InMemoryBackend>,
    /// }
    ///
    /// impl Folders {
    ///     // A type that can be named ends the circle.
    ///     fn depth_of(&self, id: u64) -> Pin<Box<dyn Future<Output = cache_kit::Result<u64>> + Send + '_>> {
    ///         Box::pin(async move {
    ///             let mut parent = SharedFeeder::<Folder>::new(id);
    ///             self.cache.execute(&mut parent, self, CacheStrategy::Refresh).await?;
    ///             Ok(parent.entity.map_or(0, |parent| parent.depth))
    ///         })
    ///     }
    /// }
    ///
    /// impl DataRepository<Folder> for Folders {
    ///     async fn fetch_by_id(&self, id: &u64) -> cache_kit::Result<Option<Folder>> {
    ///         let parent = id.checked_sub(1);
    ///         let depth = match parent {
    ///             Some(parent) => self.depth_of(parent).await? + 1,
    ///             None => 0,
    ///         };
    ///         Ok(Some(Folder { id: *id, parent, depth }))
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cache_kit::Result<()> {
    /// let folders = Folders { cache: CacheService::new(InMemoryBackend::new()) };
    /// assert_eq!(folders.depth_of(5).await?, 5);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Hits in memory do not yield
    /// A hit in memory is ready at once, even if the task has used up its budget. A task that reads
    /// very many keys in a loop should yield with [`tokio::task::coop::consume_budget`].
    ///
    /// # Errors
    /// As [`CacheExpander::with`].
    pub fn execute<'c, T, F, R>(
        &'c self,
        feeder: &'c mut F,
        repository: &'c R,
        strategy: CacheStrategy,
    ) -> impl Future<Output = Result<Outcome>>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
        R: DataRepository<T> + ?Sized,
    {
        self.expander.with(feeder, repository, strategy)
    }

    /// Answers one request as `config` says: see [`CacheExpander::with_config`].
    ///
    /// # Errors
    /// As [`CacheExpander::with`].
    pub fn execute_with_config<'c, T, F, R>(
        &'c self,
        feeder: &'c mut F,
        repository: &'c R,
        strategy: CacheStrategy,
        config: OperationConfig,
    ) -> impl Future<Output = Result<Outcome>>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
        R: DataRepository<T> + ?Sized,
    {
        self.expander
            .with_config(feeder, repository, strategy, config)
    }

    /// Answers many requests with one look-up and one load: see [`CacheExpander::with_many`].
    ///
    /// # Errors
    /// As [`CacheExpander::with_many`].
    pub fn execute_many<T, F, R>(
        &self,
        feeder: &mut F,
        repository: &R,
        strategy: CacheStrategy,
    ) -> impl Future<Output = Result<Vec<Outcome>>>
    where
        T: CacheEntity,
        F: CacheFeedMany<T> + ?Sized,
        R: DataRepository<T> + ?Sized,
    {
        self.expander.with_many(feeder, repository, strategy)
    }

    /// Answers many requests as `config` says: see [`CacheExpander::with_many`].
    ///
    /// # Errors
    /// As [`CacheExpander::with_many`].
    pub fn execute_many_with_config<T, F, R>(
        &self,
        feeder: &mut F,
        repository: &R,
        strategy: CacheStrategy,
        config: OperationConfig,
    ) -> impl Future<Output = Result<Vec<Outcome>>>
    where
        T: CacheEntity,
        F: CacheFeedMany<T> + ?Sized,
        R: DataRepository<T> + ?Sized,
    {
        self.expander
            .with_many_config(feeder, repository, strategy, config)
    }

    /// Puts this cache in front of `repository`, which from then on answers by itself:
    /// `users.get(&id).await`. See [`CachedRepository`].
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
    /// use cache_kit::backend::InMemoryBackend;
    /// use cache_kit::repository::from_fn;
    /// use cache_kit::CacheService;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cache_kit::Result<()> {
    /// let cache = CacheService::new(InMemoryBackend::new());
    /// let users = cache.repository(from_fn(|id: &u64| std::future::ready(Ok(Some(User { id: *id })))));
    /// assert!(users.get(&1).await?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn repository<T, R>(&self, repository: R) -> CachedRepository<T, B>
    where
        T: CacheEntity,
        R: DataRepository<T> + 'static,
    {
        CachedRepository::new(self.clone(), repository)
    }

    /// As [`repository`](Self::repository), for a repository of several entity types: the first type
    /// parameter says which of them is meant, `cache.repository_of::<User, _>(tables)`.
    pub fn repository_of<T, R>(&self, repository: R) -> CachedRepository<T, B>
    where
        T: CacheEntity,
        R: DataRepository<T> + 'static,
    {
        self.repository(repository)
    }

    /// Ends the loads and refreshes that run in tasks of their own: see [`CacheExpander::drain`].
    ///
    /// # Errors
    /// As [`CacheExpander::drain`].
    pub fn drain(&self, deadline: Duration) -> impl Future<Output = Result<()>> + Send {
        self.expander.drain(deadline)
    }

    /// Drops what the cache has under `key` and loads nothing: see [`CacheExpander::invalidate`].
    ///
    /// # Errors
    /// As [`CacheExpander::invalidate`].
    pub fn invalidate<T: CacheEntity>(
        &self,
        key: &T::Key,
    ) -> impl Future<Output = Result<Invalidated>> {
        self.expander.invalidate::<T>(key)
    }

    /// Drops what the cache has under the whole cache key `key`, for every entity type: see
    /// [`CacheExpander::invalidate_text`].
    ///
    /// # Errors
    /// As [`CacheExpander::invalidate_text`].
    pub fn invalidate_text(&self, key: &str) -> impl Future<Output = Result<Invalidated>> + Send {
        self.expander.invalidate_text(key)
    }

    /// Drops what the cache has under all of `keys`: see [`CacheExpander::invalidate_many`].
    ///
    /// # Errors
    /// As [`CacheExpander::invalidate_many`].
    pub fn invalidate_many<T: CacheEntity>(
        &self,
        keys: &[T::Key],
    ) -> impl Future<Output = Result<Invalidated>> {
        self.expander.invalidate_many::<T>(keys)
    }

    /// Drops all entries of the type `T` in this service's namespace: see [`CacheExpander::clear`].
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
    /// # use cache_kit::CacheService;
    /// # use cache_kit::backend::InMemoryBackend;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cache_kit::Result<()> {
    /// # let cache = CacheService::new(InMemoryBackend::new());
    /// // After an import has been committed:
    /// let cleared = cache.clear::<User>().await?;
    /// println!("{} users dropped", cleared.keys);
    /// # assert_eq!(cleared.keys, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`CacheExpander::clear`].
    pub fn clear<T: CacheEntity>(&self) -> impl Future<Output = Result<Cleared>> + Send {
        self.expander.clear::<T>()
    }

    /// Drops all entries in this service's namespace: see [`CacheExpander::clear_namespace`].
    ///
    /// # Errors
    /// As [`CacheExpander::clear_namespace`].
    pub fn clear_namespace(&self) -> impl Future<Output = Result<Cleared>> + Send {
        self.expander.clear_namespace()
    }

    /// The whole cache key of `id`, as it is stored and reported: `user:42`, or
    /// `{namespace}:user:42`. See [`CacheExpander::cache_key`].
    ///
    /// # Errors
    /// As [`CacheExpander::cache_key`].
    pub fn cache_key<T: CacheEntity>(&self, id: &T::Key) -> Result<String> {
        self.expander.cache_key::<T>(id)
    }

    /// Asks the backend now whether it answers, within the deadline of one operation: for a readiness
    /// probe. Memory always answers.
    ///
    /// Think twice before you take instances out of service because their cache is away: reads are
    /// answered from the repository, and all instances would go at once.
    ///
    /// # Errors
    /// What the store failed with, or [`Error::Timeout`](crate::Error::Timeout).
    ///
    /// # Cancellation
    /// It may be dropped at any await.
    pub fn ping(&self) -> impl Future<Output = Result<()>> + Send {
        self.backend().ping()
    }

    /// How the backend is doing, as this process sees it, without asking it. A backend with nothing that
    /// can fail, such as memory, is available.
    pub fn health(&self) -> Health {
        self.backend().health().unwrap_or_default()
    }

    /// The expander behind the service.
    pub fn expander(&self) -> &CacheExpander<B> {
        &self.expander
    }

    /// The expander, to be shared.
    pub(crate) fn shared(&self) -> &Arc<CacheExpander<B>> {
        &self.expander
    }

    /// The backend behind the service.
    pub fn backend(&self) -> &B {
        self.expander.backend()
    }
}

impl<B: CacheBackend> From<CacheExpander<B>> for CacheService<B> {
    fn from(expander: CacheExpander<B>) -> Self {
        Self {
            expander: Arc::new(expander),
        }
    }
}

impl<B: CacheBackend> Clone for CacheService<B> {
    fn clone(&self) -> Self {
        Self {
            expander: Arc::clone(&self.expander),
        }
    }
}

impl<B: CacheBackend + fmt::Debug> fmt::Debug for CacheService<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CacheService").field(&self.expander).finish()
    }
}
