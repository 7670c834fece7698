//! [`CacheExpander`]: the one place where strategies, policies, flights and a backend meet.

mod attempt;
mod fetch;
mod listen;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backend::{CacheBackend, Fence, Lookup};
use crate::clock::{Clock, Timestamp};
use crate::entity::CacheEntity;
use crate::entry::{Entry, Freshness};
use crate::error::{Error, Result};
use crate::feed::CacheFeed;
use crate::flight::{Flights, Tick};
use crate::key::{KeyText, Namespace};
use crate::observability::{CacheEvent, CacheMetrics, Outcome, Source, TtlPolicy};
pub use crate::policy::OperationConfig;
use crate::repository::DataRepository;
use crate::strategy::{CacheStrategy, Situation, StaleRule, Step, next_step};

use fetch::{Fetched, Landing};
use listen::Listener;

/// How long a load may take where its call does not say otherwise.
const LOAD_DEADLINE: Duration = Duration::from_secs(8);

/// Answers requests from a backend, and from a repository where the backend has no answer.
///
/// Set it up here, then call it, or turn it into a [`CacheService`](crate::CacheService) that is
/// cheap to clone.
///
/// ```
/// use std::time::Duration;
/// use cache_kit::backend::InMemoryBackend;
/// use cache_kit::observability::TtlPolicy;
/// use cache_kit::{CacheExpander, CacheService};
///
/// let expander = CacheExpander::new(InMemoryBackend::new())
///     .with_ttl_policy(TtlPolicy::PerType(|entity_type| match entity_type {
///         "user" => Duration::from_secs(3600),
///         _ => Duration::from_secs(1800),
///     }));
/// let cache = CacheService::from(expander);
/// ```
///
/// # Runtime
/// A hit needs no runtime of its own. A load wants a tokio runtime with its timer enabled, for
/// its deadline; without a runtime it ends as [`Error::ConfigError`].
pub struct CacheExpander<B: CacheBackend> {
    backend: B,
    flights: Arc<Flights<B::Lease, Landing>>,
    listener: Option<Listener>,
    ttl_policy: TtlPolicy,
    namespace: Option<Namespace>,
    clock: Clock,
    load_deadline: Duration,
}

/// One call: what is asked for, and how.
struct Call<'c, T: CacheEntity> {
    /// The cache key.
    key: &'c str,
    id: &'c T::Key,
    strategy: CacheStrategy,
    config: OperationConfig,
}

/// A look-up and its answer.
struct Asked<T> {
    began: Tick,
    now: Timestamp,
    answer: Result<Lookup<T>>,
}

impl<B: CacheBackend> CacheExpander<B> {
    /// An expander over `backend`, with the defaults of everything else.
    pub fn new(backend: B) -> Self {
        Self {
            backend,
            flights: Arc::new(Flights::new()),
            listener: None,
            ttl_policy: TtlPolicy::Default,
            namespace: None,
            clock: Clock::system(),
            load_deadline: LOAD_DEADLINE,
        }
    }

    /// Tells `metrics` of everything that happens. Default: nobody listens, and it costs nothing.
    pub fn with_metrics(mut self, metrics: Box<dyn CacheMetrics>) -> Self {
        self.listener = Some(Listener::new(metrics));
        self
    }

    /// How long entities live. Default: [`TtlPolicy::Default`], which leaves it to the entity and
    /// the backend.
    pub fn with_ttl_policy(mut self, policy: TtlPolicy) -> Self {
        self.ttl_policy = policy;
        self
    }

    /// Puts a word in front of every key: `{namespace}:{prefix}:{key}`. Default: none.
    ///
    /// # Errors
    /// [`Error::ConfigError`] unless it has 1 to 64 bytes without colons, blanks and control
    /// characters.
    pub fn with_namespace(mut self, namespace: impl Into<String>) -> Result<Self> {
        self.namespace = Some(Namespace::parse(namespace.into())?);
        Ok(self)
    }

    /// The clock that decides about expiry. Default: [`Clock::system`].
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How long a load may take, retries included, before it ends as [`Error::Timeout`].
    /// Default 8 s.
    pub fn with_load_deadline(mut self, deadline: Duration) -> Self {
        self.load_deadline = deadline;
        self
    }

    /// The backend.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// How many keys are being loaded at this moment.
    pub fn loads_in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Answers the request that `feeder` carries, as `strategy` allows, and tells what it did.
    ///
    /// Concurrent misses of one key make one load, made by one of the callers with *its*
    /// repository and configuration; all get what it brought, be it an entity, `None` or an error.
    ///
    /// # Errors
    /// - what [`CacheFeed::validate`] or another hook refused,
    /// - what the repository failed with, once the retries are used up; [`Error::Timeout`] past the
    ///   load deadline; [`Error::Panicked`] if it panicked,
    /// - what the backend failed with, for [`CacheStrategy::Fresh`], which has no other source,
    ///   and for an invalidation that the backend will not send again.
    ///
    /// # Cancellation
    /// The future may be dropped at any await. If it was loading for others, one of them goes on
    /// in its place; else nothing is left behind, and nothing is fed.
    pub async fn with<T, F, R>(
        &self,
        feeder: &mut F,
        repository: &R,
        strategy: CacheStrategy,
    ) -> Result<Outcome>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
        R: DataRepository<T> + ?Sized,
    {
        self.with_config(feeder, repository, strategy, OperationConfig::default())
            .await
    }

    /// Answers the request that `feeder` carries, with settings for this call alone.
    ///
    /// # Errors
    /// As [`with`](Self::with).
    ///
    /// # Cancellation
    /// As [`with`](Self::with).
    pub async fn with_config<T, F, R>(
        &self,
        feeder: &mut F,
        repository: &R,
        strategy: CacheStrategy,
        config: OperationConfig,
    ) -> Result<Outcome>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
        R: DataRepository<T> + ?Sized,
    {
        feeder.validate()?;
        // The key is copied only where the feeder cannot lend it, or when it must be loaded.
        let (key, id) = match feeder.borrowed_id() {
            Some(id) => (self.key::<T>(id), None),
            None => {
                let id = feeder.entity_id();
                (self.key::<T>(&id), Some(id))
            }
        };

        let mut asked = None;
        if next_step(strategy, Situation::Begin, StaleRule::default()) == Step::LookUp {
            let since = self.stopwatch();
            let began = self.flights.tick();
            let now = self.clock.now();
            let answer = self.backend.get::<T>(key.as_str(), now).await;
            let situation = Situation::of(&answer, now);
            match (next_step(strategy, situation, StaleRule::default()), answer) {
                (Step::Feed, Ok(Lookup::Hit { entry, .. })) => {
                    if let Some(listener) = &self.listener {
                        listener.hit(key.as_str(), since);
                    }
                    return deliver_entry(feeder, key.as_str(), entry, now);
                }
                (_, answer) => {
                    if let Some(listener) = &self.listener {
                        listener.no_hit(key.as_str(), since, &answer);
                    }
                    asked = Some(Asked { began, now, answer });
                }
            }
        }
        // Boxed, so that the future of a hit stays small.
        Box::pin(async move {
            let id = match id {
                Some(id) => id,
                None => match feeder.borrowed_id() {
                    Some(id) => id.clone(),
                    None => feeder.entity_id(),
                },
            };
            let call = Call {
                key: key.as_str(),
                id: &id,
                strategy,
                config,
            };
            self.without_hit(&call, feeder, repository, asked).await
        })
        .await
    }

    /// Everything that is not a plain hit.
    async fn without_hit<T, F, R>(
        &self,
        call: &Call<'_, T>,
        feeder: &mut F,
        repository: &R,
        asked: Option<Asked<T>>,
    ) -> Result<Outcome>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
        R: DataRepository<T> + ?Sized,
    {
        let rule = StaleRule::default();
        let situation = match &asked {
            Some(asked) => Situation::of(&asked.answer, asked.now),
            None => Situation::Begin,
        };
        let take = match next_step(call.strategy, situation, rule) {
            Step::Load(take) => Some(take),
            Step::LoadUnstored => None,
            Step::Feed | Step::FeedStale => return self.feed_found(call, feeder, asked),
            // Nothing is to be asked twice, so a second look-up is a miss.
            Step::FeedNone | Step::LookUp => {
                feeder
                    .on_miss(call.key)
                    .map_err(|error| error.during("miss", call.key))?;
                feeder.feed_shared(None);
                return Ok(Outcome::of(Source::Nothing));
            }
            Step::Fail => {
                return Err(match asked.map(|asked| asked.answer) {
                    Some(Err(error)) => error.during("read", call.key),
                    _ => Error::BackendError("no answer".into()).during("read", call.key),
                });
            }
        };

        if asked.is_some() {
            feeder
                .on_miss(call.key)
                .map_err(|error| error.during("miss", call.key))?;
        }
        let read_failed = situation == Situation::BackendFailed;
        let boarding = asked.as_ref().map(|asked| (asked.began, asked.fence()));
        match self.fetch(call, repository, take, boarding).await {
            Ok(mut fetched) => {
                fetched.degraded.read |= read_failed;
                self.deliver(call, feeder, fetched)
            }
            Err(error) => {
                let failed = Situation::RepositoryFailed {
                    stale_found: situation == Situation::Stale,
                };
                match next_step(call.strategy, failed, rule) {
                    Step::FeedStale => {
                        let mut outcome = self.feed_found(call, feeder, asked)?;
                        outcome.degraded.repository = true;
                        Ok(outcome)
                    }
                    _ => Err(error),
                }
            }
        }
    }

    /// Answers with the entry that the look-up found.
    fn feed_found<T, F>(
        &self,
        call: &Call<'_, T>,
        feeder: &mut F,
        asked: Option<Asked<T>>,
    ) -> Result<Outcome>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
    {
        match asked {
            Some(Asked {
                now,
                answer: Ok(Lookup::Hit { entry, .. }),
                ..
            }) => {
                if entry.freshness(now) == Freshness::Stale {
                    self.event(call.key, CacheEvent::StaleServed);
                }
                deliver_entry(feeder, call.key, entry, now)
            }
            _ => Err(Error::BackendError("no entry to serve".into()).during("read", call.key)),
        }
    }

    /// Answers with what a load brought.
    fn deliver<T, F>(
        &self,
        call: &Call<'_, T>,
        feeder: &mut F,
        fetched: Fetched<T>,
    ) -> Result<Outcome>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
    {
        match (&fetched.value, fetched.source) {
            (_, Source::Cache) => feeder
                .on_hit(call.key)
                .map_err(|error| error.during("hit", call.key))?,
            (Some(entity), _) => feeder
                .on_loaded(entity)
                .map_err(|error| error.during("loaded", call.key))?,
            (None, _) => {}
        }
        let outcome = Outcome {
            source: fetched.source,
            age: fetched
                .value
                .is_some()
                .then(|| self.clock.now().since(fetched.created)),
            stale: false,
            store: fetched.store,
            degraded: fetched.degraded,
        };
        feeder.feed_shared(fetched.value);
        Ok(outcome)
    }

    #[inline]
    fn key<T: CacheEntity>(&self, id: &T::Key) -> KeyText {
        KeyText::of::<T>(self.namespace.as_ref(), id)
    }

    /// A precise clock, read only if somebody listens to durations.
    #[inline]
    fn stopwatch(&self) -> Option<Instant> {
        match &self.listener {
            Some(listener) => listener.stopwatch(),
            None => None,
        }
    }

    fn event(&self, key: &str, event: CacheEvent) {
        if let Some(listener) = &self.listener {
            listener.event(key, &event);
        }
    }
}

/// Answers with an entry of the cache.
#[inline]
fn deliver_entry<T, F>(
    feeder: &mut F,
    key: &str,
    entry: Entry<T>,
    now: Timestamp,
) -> Result<Outcome>
where
    T: CacheEntity,
    F: CacheFeed<T> + ?Sized,
{
    feeder
        .on_hit(key)
        .map_err(|error| error.during("hit", key))?;
    let mut outcome = Outcome::of(Source::Cache);
    outcome.age = Some(entry.age(now));
    outcome.stale = entry.freshness(now) == Freshness::Stale;
    feeder.feed_shared(entry.value);
    Ok(outcome)
}

impl Situation {
    #[inline]
    fn of<T>(answer: &Result<Lookup<T>>, now: Timestamp) -> Self {
        match answer {
            Ok(Lookup::Hit { entry, .. }) => match entry.freshness(now) {
                Freshness::Fresh if entry.value.is_none() => Self::Absence,
                Freshness::Fresh => Self::Fresh,
                Freshness::Stale => Self::Stale,
                Freshness::Expired => Self::Nothing,
            },
            Ok(Lookup::Miss { .. }) => Self::Nothing,
            Err(_) => Self::BackendFailed,
        }
    }
}

impl<T> Asked<T> {
    /// The fence that the look-up saw.
    fn fence(&self) -> Option<Fence> {
        match &self.answer {
            Ok(Lookup::Hit { fence, .. } | Lookup::Miss { fence, .. }) => *fence,
            Err(_) => None,
        }
    }
}

impl<B: CacheBackend + fmt::Debug> fmt::Debug for CacheExpander<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheExpander")
            .field("backend", &self.backend)
            .field("flights", &self.flights)
            .field("listens", &self.listener.is_some())
            .field("ttl_policy", &self.ttl_policy)
            .field("namespace", &self.namespace)
            .field("clock", &self.clock)
            .field("load_deadline", &self.load_deadline)
            .finish()
    }
}
