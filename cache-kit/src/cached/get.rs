//! [`Get`] and [`GetMany`]: one read of a [`CachedRepository`], with its settings.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::backend::CacheBackend;
use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::expander::{Opened, Opening};
use crate::feed::{CacheFeed, CacheFeedMany};
use crate::observability::{Outcome, Source};
use crate::policy::{FreshnessPolicy, NoSettings, OperationConfig};
use crate::strategy::{Begin, CacheStrategy};

use super::CachedRepository;

/// An entity, or none, and what the call did.
type Answered<T> = Result<(Option<Arc<T>>, Outcome)>;

type BoxFuture<'r, O> = Pin<Box<dyn Future<Output = O> + Send + 'r>>;

/// One read of a [`CachedRepository`]: set what differs from the defaults, and await it.
#[must_use = "nothing is read unless it is awaited"]
pub struct Get<'r, T: CacheEntity, B: CacheBackend> {
    from: &'r CachedRepository<T, B>,
    id: &'r T::Key,
    settings: CallSettings,
}

/// A [`Get`] that also says what it did.
#[must_use = "nothing is read unless it is awaited"]
pub struct GetWithOutcome<'r, T: CacheEntity, B: CacheBackend>(Get<'r, T, B>);

/// One read of many keys of a [`CachedRepository`].
#[must_use = "nothing is read unless it is awaited"]
pub struct GetMany<'r, T: CacheEntity, B: CacheBackend> {
    from: &'r CachedRepository<T, B>,
    ids: &'r [T::Key],
    settings: CallSettings,
}

/// A [`GetMany`] that also says what it did for each key.
#[must_use = "nothing is read unless it is awaited"]
pub struct GetManyWithOutcome<'r, T: CacheEntity, B: CacheBackend>(GetMany<'r, T, B>);

/// What a call sets. The settings are boxed, since most calls have none and a hit moves this.
#[derive(Debug)]
struct CallSettings {
    strategy: CacheStrategy,
    config: Option<Box<OperationConfig>>,
}

impl CallSettings {
    /// Those of a call of a repository whose calls have `config`.
    #[inline]
    fn of(config: Option<&OperationConfig>) -> Self {
        Self {
            strategy: CacheStrategy::Refresh,
            config: config.map(|config| Box::new(*config)),
        }
    }

    fn set(&mut self, set: impl FnOnce(OperationConfig) -> OperationConfig) {
        let config = self.config.get_or_insert_default();
        **config = set(**config);
    }
}

macro_rules! settings {
    () => {
        /// What the call may do with the cache. Default: [`CacheStrategy::Refresh`].
        pub fn strategy(mut self, strategy: CacheStrategy) -> Self {
            self.settings.strategy = strategy;
            self
        }

        /// How long what this call stores is served: see [`OperationConfig::with_ttl`].
        pub fn ttl(mut self, ttl: Duration) -> Self {
            self.settings.set(|config| config.with_ttl(ttl));
            self
        }

        /// How long the load may take, and this call waits for another one's load: see
        /// [`OperationConfig::with_load_deadline`].
        pub fn deadline(mut self, deadline: Duration) -> Self {
            self.settings
                .set(|config| config.with_load_deadline(deadline));
            self
        }

        /// How often a failed load is retried: see [`OperationConfig::with_retry`].
        pub fn retry(mut self, retries: u32) -> Self {
            self.settings.set(|config| config.with_retry(retries));
            self
        }

        /// How fresh the answer must be: see [`FreshnessPolicy`].
        pub fn freshness(mut self, policy: FreshnessPolicy) -> Self {
            self.settings.set(|config| config.with_freshness(policy));
            self
        }

        /// All settings at once, in place of those that were set before.
        pub fn config(mut self, config: OperationConfig) -> Self {
            self.settings.set(|_| config);
            self
        }
    };
}

impl<'r, T: CacheEntity, B: CacheBackend> Get<'r, T, B> {
    #[inline]
    pub(super) fn new(from: &'r CachedRepository<T, B>, id: &'r T::Key) -> Self {
        let settings = CallSettings::of(from.config.as_ref());
        Self { from, id, settings }
    }

    settings!();

    /// Answers with the [`Outcome`], too.
    pub fn with_outcome(self) -> GetWithOutcome<'r, T, B> {
        GetWithOutcome(self)
    }

    /// The first step, which does not await and is all of a hit in memory.
    #[inline]
    fn begin(self) -> State<'r, T> {
        let expander = &self.from.owned.expander;
        let opening = match self.settings.strategy.begin() {
            Begin::Load(take) => Opening::Load(take),
            Begin::LookUp(reader) => {
                let opened = match &self.settings.config {
                    None => expander.open(self.id, reader, &NoSettings),
                    Some(config) => expander.open(self.id, reader, &**config),
                };
                match opened {
                    Opened::Hit {
                        value,
                        created,
                        now,
                        since,
                    } => {
                        expander.report_hit::<T>(self.id, since);
                        let outcome = Outcome::of(Source::Cache).aged(created, now);
                        return State::Hit(value, outcome);
                    }
                    Opened::Asks(opening) => opening,
                }
            }
        };
        State::Asking(Box::pin(self.ask(opening)))
    }

    async fn ask(self, opening: Opening) -> Answered<T> {
        let owned = &self.from.owned;
        let config = self
            .settings
            .config
            .map_or_else(Default::default, |config| *config);
        let mut read = Read::<T> {
            id: self.id,
            entity: None,
        };
        let asking = owned
            .expander
            .ask(None, opening, &mut read, owned.reach(), config);
        let outcome = asking.await?;
        Ok((read.entity, outcome))
    }
}

/// How far a read has come.
enum State<'r, T> {
    Hit(Option<Arc<T>>, Outcome),
    Asking(BoxFuture<'r, Answered<T>>),
}

/// The future of a [`GetWithOutcome`]. It looks up when it is first polled.
pub struct Getting<'r, T: CacheEntity, B: CacheBackend> {
    begins: Option<Get<'r, T, B>>,
    asks: Option<BoxFuture<'r, Answered<T>>>,
}

impl<T: CacheEntity, B: CacheBackend> Getting<'_, T, B> {
    #[inline]
    fn poll_both(&mut self, cx: &mut Context<'_>) -> Poll<Answered<T>> {
        if let Some(get) = self.begins.take() {
            match get.begin() {
                State::Hit(value, outcome) => return Poll::Ready(Ok((value, outcome))),
                State::Asking(asks) => self.asks = Some(asks),
            }
        }
        match &mut self.asks {
            Some(asks) => asks.as_mut().poll(cx),
            None => Poll::Ready(Err(Error::Internal("polled again after its end".into()))),
        }
    }
}

impl<T: CacheEntity, B: CacheBackend> Future for Getting<'_, T, B> {
    type Output = Answered<T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_both(cx)
    }
}

/// The future of a [`Get`]. It looks up when it is first polled.
pub struct GettingEntity<'r, T: CacheEntity, B: CacheBackend>(Getting<'r, T, B>);

impl<T: CacheEntity, B: CacheBackend> Future for GettingEntity<'_, T, B> {
    type Output = Result<Option<Arc<T>>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_both(cx).map_ok(|(entity, _)| entity)
    }
}

impl<'r, T: CacheEntity, B: CacheBackend> IntoFuture for GetWithOutcome<'r, T, B> {
    type Output = Answered<T>;
    type IntoFuture = Getting<'r, T, B>;

    #[inline]
    fn into_future(self) -> Getting<'r, T, B> {
        Getting {
            begins: Some(self.0),
            asks: None,
        }
    }
}

impl<'r, T: CacheEntity, B: CacheBackend> IntoFuture for Get<'r, T, B> {
    type Output = Result<Option<Arc<T>>>;
    type IntoFuture = GettingEntity<'r, T, B>;

    #[inline]
    fn into_future(self) -> GettingEntity<'r, T, B> {
        GettingEntity(self.with_outcome().into_future())
    }
}

impl<'r, T: CacheEntity, B: CacheBackend> GetMany<'r, T, B> {
    pub(super) fn new(from: &'r CachedRepository<T, B>, ids: &'r [T::Key]) -> Self {
        let settings = CallSettings::of(from.config.as_ref());
        Self {
            from,
            ids,
            settings,
        }
    }

    settings!();

    /// Answers with the [`Outcome`] of each key, too.
    pub fn with_outcome(self) -> GetManyWithOutcome<'r, T, B> {
        GetManyWithOutcome(self)
    }

    async fn ask(self) -> Result<(Vec<Option<Arc<T>>>, Vec<Outcome>)> {
        let owned = &self.from.owned;
        let CallSettings { strategy, config } = self.settings;
        let config = config.map_or_else(Default::default, |config| *config);
        let mut read = ReadMany::<T> {
            ids: self.ids,
            entities: Vec::new(),
        };
        let reach = owned.reach();
        let asking = owned
            .expander
            .answer_many(&mut read, reach, strategy, config);
        let outcomes = asking.await?;
        Ok((read.entities, outcomes))
    }
}

impl<'r, T: CacheEntity, B: CacheBackend> IntoFuture for GetMany<'r, T, B> {
    type Output = Result<Vec<Option<Arc<T>>>>;
    type IntoFuture = BoxFuture<'r, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.ask().await?.0) })
    }
}

impl<'r, T: CacheEntity, B: CacheBackend> IntoFuture for GetManyWithOutcome<'r, T, B> {
    type Output = Result<Vec<(Option<Arc<T>>, Outcome)>>;
    type IntoFuture = BoxFuture<'r, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (entities, outcomes) = self.0.ask().await?;
            Ok(entities.into_iter().zip(outcomes).collect())
        })
    }
}

/// Each shows which entity it reads, and its settings; a future only the entity.
macro_rules! shown {
    ($($name:ident: |$read:ident| $settings:expr;)*) => {$(
        impl<T: CacheEntity, B: CacheBackend> fmt::Debug for $name<'_, T, B> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $read = self;
                let settings: Option<&CallSettings> = $settings;
                f.debug_struct(stringify!($name))
                    .field("entity", &format_args!("{}", T::cache_prefix()))
                    .field("settings", &settings)
                    .finish()
            }
        }
    )*};
}

shown! {
    Get: |get| Some(&get.settings);
    GetWithOutcome: |get| Some(&get.0.settings);
    GetMany: |get| Some(&get.settings);
    GetManyWithOutcome: |get| Some(&get.0.settings);
    Getting: |getting| getting.begins.as_ref().map(|get| &get.settings);
    GettingEntity: |getting| getting.0.begins.as_ref().map(|get| &get.settings);
}

/// Carries one key in by reference, and the entity out.
struct Read<'r, T: CacheEntity> {
    id: &'r T::Key,
    entity: Option<Arc<T>>,
}

impl<T: CacheEntity> CacheFeed<T> for Read<'_, T> {
    fn entity_id(&mut self) -> T::Key {
        self.id.clone()
    }

    fn feed(&mut self, entity: Option<T>) {
        self.entity = entity.map(Arc::new);
    }

    fn feed_shared(&mut self, entity: Option<Arc<T>>) {
        self.entity = entity;
    }

    fn borrowed_id(&self) -> Option<&T::Key> {
        Some(self.id)
    }

    fn wants_hits(&self) -> bool {
        false
    }

    fn wants_misses(&self) -> bool {
        false
    }
}

/// Carries many keys in by reference, and the entities out.
struct ReadMany<'r, T: CacheEntity> {
    ids: &'r [T::Key],
    entities: Vec<Option<Arc<T>>>,
}

impl<T: CacheEntity> CacheFeedMany<T> for ReadMany<'_, T> {
    fn entity_ids(&mut self) -> Vec<T::Key> {
        self.ids.to_vec()
    }

    fn feed_many(&mut self, entities: Vec<Option<Arc<T>>>) {
        self.entities = entities;
    }
}
