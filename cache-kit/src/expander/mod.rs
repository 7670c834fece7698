//! [`CacheExpander`]: combines strategies, policies, flights and a backend.

mod admitted;
mod background;
mod batch;
mod call;
mod clear;
mod keys;
mod load;
mod owned;
mod reach;
mod report;
mod single;
mod turns;

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::answers::one_each;
use crate::backend::{CacheBackend, Invalidated};
use crate::clock::Clock;
use crate::entity::CacheEntity;
use crate::error::Result;
use crate::feed::CacheFeed;
use crate::flight::Flights;
use crate::key::{CacheKey, Namespace};
use crate::observability::{CacheEvent, CacheMetrics, Outcome, TtlPolicy};
pub use crate::policy::OperationConfig;
use crate::policy::{FreshnessPolicy, NoSettings, Rules, Settings};
use crate::repository::DataRepository;
use crate::strategy::CacheStrategy;
use crate::trace::Span;

use admitted::Admitted;
use background::Background;
use keys::Keys;
use load::{Completion, HeldLease};
pub(crate) use owned::{Owned, Rows};
pub(crate) use reach::Reach;
use report::{Of, Reports};
use single::Begun;
pub(crate) use single::{Opened, Opening, Rest};
use turns::Turns;

/// How long a load may take, unless its call sets another deadline.
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
/// A hit in memory needs no runtime. A load needs a tokio runtime with its timer enabled, for its
/// deadline; without one it ends as [`Error::ConfigError`](crate::Error::ConfigError).
pub struct CacheExpander<B: CacheBackend> {
    /// Shared with the tasks that release abandoned leases.
    backend: Arc<B>,
    flights: Arc<Flights<HeldLease<B>, Completion>>,
    turns: Arc<Turns>,
    background: Arc<Background>,
    admitted: Admitted,
    reports: Reports,
    ttl_policy: TtlPolicy,
    freshness: FreshnessPolicy,
    namespace: Option<Namespace>,
    clock: Clock,
    load_deadline: Duration,
    lease_wait: Duration,
}

impl<B: CacheBackend> CacheExpander<B> {
    /// An expander over `backend`, with the defaults for everything else.
    pub fn new(backend: B) -> Self {
        Self {
            backend: Arc::new(backend),
            flights: Arc::new(Flights::new()),
            turns: Arc::new(Turns::new()),
            background: Arc::new(Background::new()),
            admitted: Admitted::default(),
            reports: Reports::default(),
            ttl_policy: TtlPolicy::Default,
            freshness: FreshnessPolicy::default(),
            namespace: None,
            clock: Clock::system(),
            load_deadline: LOAD_DEADLINE,
            lease_wait: LEASE_WAIT,
        }
    }

    /// Reports everything that happens to `metrics`, and to those that were set before. Default: no
    /// listener, at no cost.
    pub fn with_metrics(mut self, metrics: Box<dyn CacheMetrics>) -> Self {
        let metrics: Arc<dyn CacheMetrics> = Arc::from(metrics);
        self.backend.watch(Arc::downgrade(&metrics));
        self.reports.add(metrics);
        self
    }

    /// Shows keys in spans and warnings (feature `tracing`), and with a load that failed, what the
    /// repository said. Default: neither, since both may be personal data. Warnings of the backend name
    /// servers, and never keys.
    pub fn with_traced_keys(mut self) -> Self {
        self.reports.shows_keys = true;
        self.reports.log.show_keys();
        self
    }

    /// How long entities live. Default: [`TtlPolicy::Default`], which leaves it to the entity and
    /// the backend.
    pub fn with_ttl_policy(mut self, policy: TtlPolicy) -> Self {
        self.ttl_policy = policy;
        self
    }

    /// How fresh the answers are, where that differs from what their entities say. Default: as they
    /// say.
    pub fn with_freshness(mut self, policy: FreshnessPolicy) -> Self {
        self.freshness = policy;
        self
    }

    /// Puts a word in front of every key: `{namespace}:{prefix}:{key}`. Default: none.
    ///
    /// # Errors
    /// [`Error::ConfigError`](crate::Error::ConfigError) unless it has 1 to 64 bytes without colons, spaces and control
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

    /// How long a load may take, retries included, before it ends as [`Error::Timeout`](crate::Error::Timeout). A call
    /// waits as long for another call's load. Default 8 s.
    pub fn with_load_deadline(mut self, deadline: Duration) -> Self {
        self.load_deadline = deadline;
        self
    }

    /// How long a caller waits for another process that is loading the same key, before it loads
    /// for itself. Default 500 ms. A process that dies in the middle of a load delays the others by
    /// this time. Within one service callers follow the load, and wait for it up to their load
    /// deadline.
    pub fn with_lease_wait(mut self, wait: Duration) -> Self {
        self.lease_wait = wait;
        self
    }

    /// How many loads and refreshes of owned repositories
    /// ([`CachedRepository`](crate::CachedRepository)) may run in tasks of their own at a time. Beyond
    /// that, refreshes are left out, which [`CacheEvent::RefreshSkipped`] shows, and a load is one of
    /// its caller, that ends with it. Default 1,024.
    pub fn with_background_tasks(mut self, tasks: usize) -> Self {
        self.background = Arc::new(Background::bounded(tasks));
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

    /// How many loads and refreshes run in tasks of their own at this moment.
    pub fn background_tasks(&self) -> usize {
        self.background.len()
    }

    /// Lets no more loads and refreshes run in tasks of their own, and waits for those that do. For use
    /// before a process ends. Calls go on being answered, and load for themselves.
    ///
    /// # Errors
    /// [`Error::Timeout`](crate::Error::Timeout) if some did not end within `deadline`; these have been told to end.
    /// [`Error::ConfigError`](crate::Error::ConfigError) on a runtime without a timer.
    ///
    /// # Cancellation
    /// If the future is dropped, what runs goes on to its end.
    pub async fn drain(&self, deadline: Duration) -> Result<()> {
        self.background.drain(deadline).await
    }

    /// Answers the request that `feeder` carries, as `strategy` allows, and returns what it did.
    ///
    /// Concurrent misses of one key make one load. One of the callers makes it, with *its*
    /// repository and configuration. All get the result (an entity, `None` or an error) as soon as
    /// the load has ended. The caller that loads waits for the store as well. A caller waits for
    /// another one's load as long as its own load deadline allows.
    ///
    /// # Errors
    /// - [`Error::ConfigError`](crate::Error::ConfigError) if the prefix of the entity is not valid, or belongs to another
    ///   type,
    /// - the error of [`CacheFeed::validate`] or another hook,
    /// - the error of the repository, once the retries are used up; [`Error::Timeout`](crate::Error::Timeout) after the
    ///   load deadline; [`Error::Panicked`](crate::Error::Panicked) if it panicked,
    /// - the error of the backend, for [`CacheStrategy::Fresh`], which has no other source, and for
    ///   an invalidation that the backend will not send again.
    ///
    /// # Cancellation
    /// The future may be dropped at any await. If it was loading for others, one of them takes
    /// over; otherwise nothing is left behind. Nothing is fed. A handler that is dropped between
    /// the commit of an update and its invalidation never invalidates, and web servers drop
    /// handlers when a client hangs up. So run both in a task of their own (`tokio::spawn`).
    pub fn with<'c, T, F, R>(
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
        self.answer_one(feeder, repository, strategy, NoSettings)
    }

    /// Answers the request that `feeder` carries, with settings for this call alone.
    ///
    /// # Errors
    /// As [`with`](Self::with).
    ///
    /// # Cancellation
    /// As [`with`](Self::with).
    pub fn with_config<'c, T, F, R>(
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
        self.answer_one(feeder, repository, strategy, config)
    }

    /// An `async fn` would first copy its arguments into its own state, which a hit waits for.
    fn answer_one<'c, T, F, R, C>(
        &'c self,
        feeder: &'c mut F,
        repository: &'c R,
        strategy: CacheStrategy,
        config: C,
    ) -> impl Future<Output = Result<Outcome>> + use<'c, B, T, F, R, C>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
        R: DataRepository<T> + ?Sized,
        C: Settings + Unpin + 'c,
    {
        let mut call = Some((feeder, config));
        let mut asking = None;
        Answering(move |context: &mut Context<'_>| {
            if let Some((feeder, config)) = call.take() {
                match self.begin(feeder, strategy, &config) {
                    Begun::Hit(age) => return Poll::Ready(Ok(Outcome::hit(age))),
                    Begun::Refused(error) => return Poll::Ready(Err(error)),
                    Begun::Asks(id, opening) => {
                        let config = config.into_config();
                        let reach = Reach::borrowed(repository);
                        let rest = self.ask(id, Rest { opening, config }, feeder, reach);
                        // Boxed, to keep the future of a hit small.
                        asking = Some(Box::pin(rest));
                    }
                }
            }
            match &mut asking {
                Some(asking) => asking.as_mut().poll(context),
                #[allow(clippy::panic, reason = "as any `async fn` that is polled too often")]
                None => panic!("a call was polled again after its answer"),
            }
        })
    }

    /// Drops what the cache has under `key` and loads nothing. Loads of the key that are in flight
    /// will not be stored. For use after an update has been committed, if the caller does not need
    /// the new row.
    ///
    /// [`Invalidated::Done`] is an acknowledgement: a read that begins after it returns nothing
    /// older. [`Invalidated::DoneHere`] is one for this process. [`Invalidated::Pending`] is none; the
    /// backend will send the invalidation again.
    ///
    /// # Errors
    /// The invalidation has not been done, and will not be sent again.
    ///
    /// # Cancellation
    /// If the future is dropped, the invalidation may or may not have been done.
    pub async fn invalidate<T: CacheEntity>(&self, key: &T::Key) -> Result<Invalidated> {
        self.admit::<T>()?;
        let text = self.key::<T>(key).text()?;
        let of = Of::entity::<T>();
        let span = self.invalidation(of, &[text.as_str()]);
        let since = self.stopwatch();
        let answer = self.backend.invalidate::<T>(text.as_str());
        let answer = span.around(pin!(answer)).await;
        let answer = self.judge_invalidation(of, text.as_str(), since, answer);
        span.invalidated(&answer);
        answer
    }

    /// Drops what the cache has under all of `keys`, as [`invalidate`](Self::invalidate) does for
    /// one. The least of the answers: [`Invalidated::Done`] says that all are done,
    /// [`Invalidated::Pending`] that the backend will send some of them again.
    ///
    /// # Errors
    /// At least one of the invalidations has not been done, and will not be sent again. The others
    /// have been sent.
    ///
    /// # Cancellation
    /// If the future is dropped, each of them may or may not have been done.
    pub async fn invalidate_many<T: CacheEntity>(&self, keys: &[T::Key]) -> Result<Invalidated> {
        self.admit::<T>()?;
        let texts = Keys::of::<T>(self.namespace.as_ref(), keys)?;
        let texts = texts.texts();
        let of = Of::entity::<T>();
        let span = self.invalidation(of, &texts);
        let since = self.stopwatch();
        let answers = self.backend.invalidate_many::<T>(&texts);
        let answers = span.around(pin!(answers)).await;
        let mut all = Ok(Invalidated::Done);
        for (key, answer) in texts.iter().zip(one_each(texts.len(), answers)) {
            match (self.judge_invalidation(of, key, since, answer), &all) {
                (Ok(Invalidated::Done), _) | (Ok(_), Err(_) | Ok(Invalidated::Pending)) => {}
                (Ok(less), Ok(_)) => all = Ok(less),
                (Err(error), _) => all = all.and(Err(error)),
            }
        }
        span.invalidated(&all);
        all
    }

    /// Drops what the cache has under the whole cache key `key`, namespace and prefix included, for
    /// every entity type. For messages from outside, which carry texts and no types: a change feed of
    /// the database, a command of an operator.
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate); [`Error::ConfigError`](crate::Error::ConfigError) if the backend cannot do it.
    ///
    /// # Cancellation
    /// As [`invalidate`](Self::invalidate).
    pub async fn invalidate_text(&self, key: &str) -> Result<Invalidated> {
        let of = Of::text();
        let span = self.invalidation(of, &[key]);
        let since = self.stopwatch();
        let answer = span.around(pin!(self.backend.invalidate_text(key))).await;
        let answer = self.judge_invalidation(of, key, since, answer);
        span.invalidated(&answer);
        answer
    }

    /// The whole cache key of `id`, as it is stored and reported: `user:42`, or
    /// `{namespace}:user:42`. For logs, for tools that look into the store, and for
    /// [`invalidate_text`](Self::invalidate_text) in another program.
    ///
    /// # Errors
    /// [`Error::ConfigError`](crate::Error::ConfigError) if the prefix of the entity is not valid, or belongs to another type;
    /// [`Error::ValidationError`](crate::Error::ValidationError) if the `Display` of the key fails.
    pub fn cache_key<T: CacheEntity>(&self, id: &T::Key) -> Result<String> {
        self.admit::<T>()?;
        let text = self.key::<T>(id).text()?;
        Ok(text.as_str().to_owned())
    }

    #[inline]
    fn key<'k, T: CacheEntity>(&'k self, id: &'k T::Key) -> CacheKey<'k, T> {
        CacheKey::within(self.namespace.as_ref(), id)
    }

    /// Tells the listener the state of an invalidation.
    fn judge_invalidation(
        &self,
        of: Of,
        key: &str,
        since: Option<Instant>,
        answer: Result<Invalidated>,
    ) -> Result<Invalidated> {
        match &answer {
            Ok(Invalidated::Pending) => self.tell(of, key, &CacheEvent::InvalidationPending),
            Ok(_) => self.tell_invalidated(of, key, since),
            Err(error) => self.tell_failure(of, key, "invalidate", error),
        }
        answer
            .map(|done| done.within(self.backend.scope()))
            .map_err(|error| error.during("invalidate", key))
    }

    /// What counts for a call with this `config`.
    #[inline]
    fn rules<'c>(&'c self, of_call: Option<&'c FreshnessPolicy>) -> Rules<'c> {
        Rules {
            call: of_call,
            service: &self.freshness,
        }
    }

    /// A precise clock, read only if a listener wants durations.
    #[inline]
    fn stopwatch(&self) -> Option<Instant> {
        self.reports.stopwatch()
    }

    /// The span of an invalidation of `keys`.
    fn invalidation(&self, of: Of, keys: &[&str]) -> Span {
        let key = match keys {
            [key] if self.reports.shows_keys => Some(*key),
            _ => None,
        };
        Span::invalidate(of.prefix(), keys.len(), key)
    }
}

/// As [`PollFn`](std::future::PollFn), whose `poll` the compiler does not inline into a caller in another
/// compilation unit.
struct Answering<P>(P);

impl<P, O> Future for Answering<P>
where
    P: FnMut(&mut Context<'_>) -> Poll<O> + Unpin,
{
    type Output = O;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<O> {
        (self.0)(context)
    }
}

impl<B: CacheBackend + fmt::Debug> fmt::Debug for CacheExpander<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheExpander")
            .field("backend", &self.backend)
            .field("flights", &self.flights)
            .field("reports", &self.reports)
            .field("ttl_policy", &self.ttl_policy)
            .field("freshness", &self.freshness)
            .field("namespace", &self.namespace)
            .field("clock", &self.clock)
            .field("load_deadline", &self.load_deadline)
            .field("lease_wait", &self.lease_wait)
            .finish()
    }
}
