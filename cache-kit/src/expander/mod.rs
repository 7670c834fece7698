//! [`CacheExpander`]: the one place where strategies, policies, flights and a backend meet.

mod attempt;
mod fetch;
mod listen;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backend::{CacheBackend, Fence, Invalidated, Lookup};
use crate::clock::{Clock, Timestamp};
use crate::entity::CacheEntity;
use crate::entry::{Entry, Freshness};
use crate::error::{Error, Result};
use crate::feed::CacheFeed;
use crate::flight::{Flights, Tick};
use crate::key::{KeyText, Namespace};
use crate::observability::{CacheEvent, CacheMetrics, Degraded, Outcome, Source, TtlPolicy};
pub use crate::policy::OperationConfig;
use crate::repository::DataRepository;
use crate::strategy::{CacheStrategy, Situation, StaleRule, Step, next_step};

use fetch::{Fetched, Landing};
use listen::Listener;

/// How long a load may take where its call does not say otherwise.
const LOAD_DEADLINE: Duration = Duration::from_secs(8);

/// How long a caller waits for another process's load of its key.
const LEASE_WAIT: Duration = Duration::from_millis(500);

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
    lease_wait: Duration,
}

/// One call: what is asked for, and how.
struct Call<'c, T: CacheEntity> {
    /// The cache key.
    key: &'c str,
    id: &'c T::Key,
    config: OperationConfig,
}

/// How far a call comes without awaiting.
enum Begun<T: CacheEntity> {
    /// Answered from the cache.
    Hit {
        created: Timestamp,
        now: Timestamp,
    },
    Refused(Error),
    Asking(Box<Asking<T>>),
}

/// A call that has not been answered yet.
struct Asking<T: CacheEntity> {
    key: KeyText,
    /// The key, if the feeder gave it away.
    id: Option<T::Key>,
    /// `None` where the strategy asks for none.
    look_up: Option<LookUp>,
}

/// A look-up that has begun.
struct LookUp {
    since: Option<Instant>,
    began: Tick,
    now: Timestamp,
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
            lease_wait: LEASE_WAIT,
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

    /// How long a caller waits for another process that is loading the same key, before it loads
    /// for itself. Default 500 ms: what a process costs the others that dies in the middle of a
    /// load. Within one service callers join the load, and wait for it as long as it takes.
    pub fn with_lease_wait(mut self, wait: Duration) -> Self {
        self.lease_wait = wait;
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
    /// in its place; else nothing is left behind, and nothing is fed. Mind that a handler which is
    /// dropped between the commit of an update and its invalidation never invalidates: web servers
    /// do that when a client hangs up. Run both in a task of their own (`tokio::spawn`).
    pub fn with<T, F, R>(
        &self,
        feeder: &mut F,
        repository: &R,
        strategy: CacheStrategy,
    ) -> impl Future<Output = Result<Outcome>>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
        R: DataRepository<T> + ?Sized,
    {
        self.with_config(feeder, repository, strategy, OperationConfig::default())
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
        // What a hit does not need is boxed, so that its future stays small.
        match self.at_once(feeder, strategy) {
            Begun::Hit { created, now } => Ok(Outcome::of(Source::Cache).aged(created, now)),
            Begun::Refused(error) => Err(error),
            Begun::Asking(asking) => {
                Box::pin(self.ask(asking, feeder, repository, strategy, config)).await
            }
        }
    }

    /// Drops what the cache has under `key` and loads nothing; loads of it that are under way will
    /// not be stored. For use after an update has been committed, where nobody wants the new row.
    ///
    /// [`Invalidated::Done`] is an acknowledgement: whoever begins to read after it gets nothing
    /// older. [`Invalidated::Pending`] is none; a backend that answers so will send it again.
    ///
    /// # Errors
    /// The invalidation has not been done, and nobody will send it again.
    ///
    /// # Cancellation
    /// As long as the future has not ended, the invalidation may or may not have been done.
    pub async fn invalidate<T: CacheEntity>(&self, key: &T::Key) -> Result<Invalidated> {
        let mut text = KeyText::new();
        text.write::<T>(self.namespace.as_ref(), key);
        let since = self.stopwatch();
        let answer = self.backend.invalidate::<T>(text.as_str()).await;
        match (&answer, &self.listener) {
            (Ok(Invalidated::Done), Some(listener)) => listener.invalidated(text.as_str(), since),
            (Ok(Invalidated::Pending), _) => {
                self.event(text.as_str(), CacheEvent::InvalidationPending);
            }
            (Err(error), Some(listener)) => listener.error(text.as_str(), error),
            (_, None) => {}
        }
        answer.map_err(|error| error.during("invalidate", text.as_str()))
    }

    /// Does what needs no awaiting, which is all of a hit in memory.
    #[inline(always)]
    fn at_once<T, F>(&self, feeder: &mut F, strategy: CacheStrategy) -> Begun<T>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
    {
        if let Err(error) = feeder.validate() {
            return Begun::Refused(error);
        }
        // The key is copied only where the feeder cannot lend it, or when it must be loaded.
        let mut key = KeyText::new();
        let mut id = None;
        match feeder.borrowed_id() {
            Some(id) => key.write::<T>(self.namespace.as_ref(), id),
            None => {
                let id = id.insert(feeder.entity_id());
                key.write::<T>(self.namespace.as_ref(), id);
            }
        }
        let mut look_up = None;
        if next_step(strategy, Situation::Begin, StaleRule::default()) == Step::LookUp {
            let since = self.stopwatch();
            let began = self.flights.tick();
            let now = self.clock.now();
            if let Some(entry) = self.backend.try_get::<T>(key.as_str(), now) {
                let situation = Situation::of(&entry, now);
                if next_step(strategy, situation, StaleRule::default()) == Step::Feed {
                    if let Some(listener) = &self.listener {
                        listener.hit(key.as_str(), since);
                    }
                    let created = entry.created;
                    return match feed_entry(feeder, key.as_str(), entry) {
                        Ok(()) => Begun::Hit { created, now },
                        Err(error) => Begun::Refused(error),
                    };
                }
            }
            look_up = Some(LookUp { since, began, now });
        }
        Begun::Asking(Box::new(Asking { key, id, look_up }))
    }

    /// Does everything else.
    async fn ask<T, F, R>(
        &self,
        mut asking: Box<Asking<T>>,
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
        // Not moved out of its box: this future is a box of its own, and the smaller the cheaper.
        let id = match (asking.id.take(), feeder.borrowed_id()) {
            (Some(id), _) => id,
            (None, Some(id)) => id.clone(),
            (None, None) => feeder.entity_id(),
        };
        let call = Call {
            key: asking.key.as_str(),
            id: &id,
            config,
        };
        let asked = match asking.look_up.take() {
            Some(look_up) => Some(self.look_up(&call, look_up).await),
            None => None,
        };

        let rule = StaleRule::default();
        let situation = asked.as_ref().map_or(Situation::Begin, Asked::situation);
        let take = match next_step(strategy, situation, rule) {
            Step::Load(take) => Some(take),
            Step::LoadUnstored => None,
            Step::Feed | Step::FeedStale => return self.feed_found(&call, feeder, asked),
            // The look-up is behind us: another one would find the same.
            Step::FeedNone | Step::LookUp => {
                feeder
                    .on_miss(call.key)
                    .map_err(|error| error.during("miss", call.key))?;
                feeder.feed_shared(None);
                return Ok(Outcome::of(Source::Nothing));
            }
            Step::Fail => {
                let error = match asked.map(|asked| asked.answer) {
                    Some(Err(error)) => error,
                    _ => Error::BackendError("no answer".into()),
                };
                return Err(error.during("read", call.key));
            }
        };

        if asked.is_some() {
            feeder
                .on_miss(call.key)
                .map_err(|error| error.during("miss", call.key))?;
        }
        let boarding = asked.as_ref().map(|asked| (asked.began, asked.fence()));
        // Boxed apart, so that a hit of a remote store carries no room for it either.
        match Box::pin(self.fetch(&call, repository, take, boarding)).await {
            Ok(mut fetched) => {
                fetched.degraded.read = situation == Situation::BackendFailed;
                self.deliver(&call, feeder, fetched)
            }
            Err(error) => {
                let failed = Situation::RepositoryFailed {
                    stale_found: situation == Situation::Stale,
                };
                if next_step(strategy, failed, rule) != Step::FeedStale {
                    return Err(error);
                }
                let outcome = self.feed_found(&call, feeder, asked)?;
                Ok(outcome.degraded_by(Degraded {
                    repository: true,
                    ..Degraded::default()
                }))
            }
        }
    }

    /// Looks up what was not at hand, and reports it.
    async fn look_up<T: CacheEntity>(&self, call: &Call<'_, T>, look_up: LookUp) -> Asked<T> {
        let asked = Asked {
            began: look_up.began,
            now: look_up.now,
            answer: self.backend.get::<T>(call.key, look_up.now).await,
        };
        if let Some(listener) = &self.listener {
            match (&asked.answer, asked.situation()) {
                (Err(error), _) => listener.error(call.key, error),
                (Ok(_), Situation::Fresh | Situation::Absence) => {
                    listener.hit(call.key, look_up.since);
                }
                (Ok(_), _) => listener.miss(call.key, look_up.since),
            }
        }
        asked
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
                let stale = entry.freshness(now) == Freshness::Stale;
                let outcome = Outcome::of(Source::Cache)
                    .aged(entry.created, now)
                    .stale(stale);
                if stale {
                    self.event(call.key, CacheEvent::StaleServed);
                }
                feed_entry(feeder, call.key, entry)?;
                Ok(outcome)
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
        let mut outcome = Outcome::of(fetched.source)
            .stored(fetched.store)
            .degraded_by(fetched.degraded);
        if fetched.value.is_some() {
            outcome = outcome.aged(fetched.created, self.clock.now());
        }
        feeder.feed_shared(fetched.value);
        Ok(outcome)
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

/// Feeds an entry of the cache.
#[inline]
fn feed_entry<T, F>(feeder: &mut F, key: &str, entry: Entry<T>) -> Result<()>
where
    T: CacheEntity,
    F: CacheFeed<T> + ?Sized,
{
    feeder
        .on_hit(key)
        .map_err(|error| error.during("hit", key))?;
    feeder.feed_shared(entry.value);
    Ok(())
}

impl Situation {
    #[inline]
    fn of<T>(entry: &Entry<T>, now: Timestamp) -> Self {
        match entry.freshness(now) {
            Freshness::Fresh if entry.value.is_none() => Self::Absence,
            Freshness::Fresh => Self::Fresh,
            Freshness::Stale => Self::Stale,
            Freshness::Expired => Self::Nothing,
        }
    }
}

impl<T> Asked<T> {
    fn situation(&self) -> Situation {
        match &self.answer {
            Ok(Lookup::Hit { entry, .. }) => Situation::of(entry, self.now),
            Ok(Lookup::Miss { .. }) => Situation::Nothing,
            Err(_) => Situation::BackendFailed,
        }
    }

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
            .field("lease_wait", &self.lease_wait)
            .finish()
    }
}
