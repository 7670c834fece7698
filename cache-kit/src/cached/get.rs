//! [`Get`] and [`GetMany`]: one read of a [`CachedRepository`], with its settings.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::backend::CacheBackend;
use crate::entity::CacheEntity;
use crate::error::Result;
use crate::expander::{Opened, Opening, Rest};
use crate::feed::{CacheFeed, CacheFeedMany};
use crate::observability::Outcome;
use crate::policy::{FreshnessPolicy, NoSettings, OperationConfig};
use crate::strategy::{Begin, CacheStrategy};

use super::CachedRepository;

/// An entity, or none, and what the call did.
type Answered<T> = Result<(Option<Arc<T>>, Outcome)>;

/// As [`Answered`], for each of many keys.
type AnsweredMany<T> = Result<(Vec<Option<Arc<T>>>, Vec<Outcome>)>;

type BoxFuture<'r, O> = Pin<Box<dyn Future<Output = O> + Send + 'r>>;

/// One read of a [`CachedRepository`]: a future. Set what differs from the defaults, and await it. It
/// looks up when it is first polled; what is set after that counts for nothing.
#[must_use = "nothing is read unless it is awaited"]
pub struct Get<'r, T: CacheEntity, B: CacheBackend> {
    from: &'r CachedRepository<T, B>,
    id: &'r T::Key,
    settings: CallSettings,
    /// All that needs awaiting, once it has begun.
    asking: Option<BoxFuture<'r, Answered<T>>>,
}

/// A [`Get`] that also says what it did.
#[must_use = "nothing is read unless it is awaited"]
pub struct GetWithOutcome<'r, T: CacheEntity, B: CacheBackend>(Get<'r, T, B>);

/// One read of many keys of a [`CachedRepository`]: a future, as [`Get`].
#[must_use = "nothing is read unless it is awaited"]
pub struct GetMany<'r, T: CacheEntity, B: CacheBackend> {
    from: &'r CachedRepository<T, B>,
    ids: &'r [T::Key],
    settings: CallSettings,
    asking: Option<BoxFuture<'r, AnsweredMany<T>>>,
}

/// A [`GetMany`] that also says what it did for each key.
#[must_use = "nothing is read unless it is awaited"]
pub struct GetManyWithOutcome<'r, T: CacheEntity, B: CacheBackend>(GetMany<'r, T, B>);

/// What a call sets. The settings are boxed, since most calls have none and a hit moves this.
#[derive(Debug, Default)]
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

    fn into_config(self) -> OperationConfig {
        self.config
            .map_or_else(OperationConfig::default, |config| *config)
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

        /// How fresh the answer must be: see [`FreshnessPolicy`]. What it does not set is as before.
        pub fn freshness(mut self, policy: FreshnessPolicy) -> Self {
            self.settings
                .set(|config| config.with_freshness(policy.or(config.freshness)));
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
        Self {
            from,
            id,
            settings,
            asking: None,
        }
    }

    settings!();

    /// Answers with the [`Outcome`], too.
    pub fn with_outcome(self) -> GetWithOutcome<'r, T, B> {
        GetWithOutcome(self)
    }

    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Answered<T>> {
        let asking = match &mut self.asking {
            Some(asking) => asking,
            None => match self.begin() {
                Ok(hit) => return Poll::Ready(Ok(hit)),
                Err(opening) => {
                    let ask = self.ask(opening);
                    self.asking.insert(ask)
                }
            },
        };
        asking.as_mut().poll(cx)
    }

    /// The first step, which does not await and is all of a hit in memory; how to go on, if there is
    /// none.
    #[inline]
    fn begin(&self) -> Result<(Option<Arc<T>>, Outcome), Opening> {
        let expander = &self.from.owned.expander;
        let reader = match self.settings.strategy.begin() {
            Begin::Load(take) => return Err(Opening::Load(take)),
            Begin::LookUp(reader) => reader,
        };
        let opened = match &self.settings.config {
            None => expander.open(self.id, reader, &NoSettings),
            Some(config) => expander.open(self.id, reader, &**config),
        };
        match opened {
            Opened::Hit { value, age, since } => {
                let outcome = Outcome::hit(age);
                let told = (reader, outcome, since);
                expander.report_hit::<T>(Some(self.id), value.is_some(), told);
                Ok((value, outcome))
            }
            Opened::Asks(opening) => Err(opening),
        }
    }

    fn ask(&mut self, opening: Opening) -> BoxFuture<'r, Answered<T>> {
        let (owned, id) = (&self.from.owned, self.id);
        let config = mem::take(&mut self.settings).into_config();
        let rest = Rest { opening, config };
        let mut read = Read::<T> { id, entity: None };
        Box::pin(async move {
            let (expander, reach) = (&owned.expander, owned.reach());
            let outcome = expander.ask(None, &rest, &mut read, reach).await?;
            Ok((read.entity, outcome))
        })
    }
}

impl<T: CacheEntity, B: CacheBackend> Future for Get<'_, T, B> {
    type Output = Result<Option<Arc<T>>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_read(cx).map_ok(|(entity, _)| entity)
    }
}

impl<T: CacheEntity, B: CacheBackend> Future for GetWithOutcome<'_, T, B> {
    type Output = Answered<T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_read(cx)
    }
}

impl<'r, T: CacheEntity, B: CacheBackend> GetMany<'r, T, B> {
    pub(super) fn new(from: &'r CachedRepository<T, B>, ids: &'r [T::Key]) -> Self {
        let settings = CallSettings::of(from.config.as_ref());
        Self {
            from,
            ids,
            settings,
            asking: None,
        }
    }

    settings!();

    /// Answers with the [`Outcome`] of each key, too.
    pub fn with_outcome(self) -> GetManyWithOutcome<'r, T, B> {
        GetManyWithOutcome(self)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<AnsweredMany<T>> {
        let asking = match &mut self.asking {
            Some(asking) => asking,
            None => {
                let ask = self.ask();
                self.asking.insert(ask)
            }
        };
        asking.as_mut().poll(cx)
    }

    fn ask(&mut self) -> BoxFuture<'r, AnsweredMany<T>> {
        let (owned, ids) = (&self.from.owned, self.ids);
        let settings = mem::take(&mut self.settings);
        let (strategy, config) = (settings.strategy, settings.into_config());
        Box::pin(async move {
            let mut read = ReadMany::<T> {
                ids,
                entities: Vec::new(),
            };
            let reach = owned.reach();
            let asking = owned
                .expander
                .answer_many(&mut read, reach, strategy, config);
            let outcomes = asking.await?;
            Ok((read.entities, outcomes))
        })
    }
}

impl<T: CacheEntity, B: CacheBackend> Future for GetMany<'_, T, B> {
    type Output = Result<Vec<Option<Arc<T>>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_read(cx).map_ok(|(entities, _)| entities)
    }
}

impl<T: CacheEntity, B: CacheBackend> Future for GetManyWithOutcome<'_, T, B> {
    type Output = Result<Vec<(Option<Arc<T>>, Outcome)>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let both =
            |(entities, outcomes): (Vec<_>, Vec<_>)| entities.into_iter().zip(outcomes).collect();
        self.0.poll_read(cx).map_ok(both)
    }
}

/// Each shows which entity it reads, and its settings.
macro_rules! shown {
    ($($name:ident: $($get:tt).+;)*) => {$(
        impl<T: CacheEntity, B: CacheBackend> fmt::Debug for $name<'_, T, B> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("entity", &format_args!("{}", T::cache_prefix()))
                    .field("settings", &self.$($get).+)
                    .finish_non_exhaustive()
            }
        }
    )*};
}

shown! {
    Get: settings;
    GetWithOutcome: 0.settings;
    GetMany: settings;
    GetManyWithOutcome: 0.settings;
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

#[cfg(all(test, feature = "redis", not(cache_kit_model)))]
mod tests {
    use super::*;
    use crate::backend::{AnyBackend, RedisBackend, RedisConfig};
    use crate::lease::Take;
    use crate::{CacheService, InMemoryRepository, SharedFeeder};

    #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
    struct Row {
        id: String,
    }

    impl CacheEntity for Row {
        type Key = String;

        fn cache_key(&self) -> String {
            self.id.clone()
        }

        fn cache_prefix() -> &'static str {
            "row"
        }
    }

    /// The bytes of the rest of a call and of a read, after a first step without an answer.
    fn rests<B: CacheBackend>(backend: B) -> [usize; 2] {
        let rows = CacheService::new(backend).repository(InMemoryRepository::<Row>::new());
        let (id, opening) = (String::new(), || Opening::Load(Take::IfMissing));
        let read = rows.get(&id).ask(opening());

        let (owned, mut feeder) = (&rows.owned, SharedFeeder::new(id.clone()));
        let rest = Rest {
            opening: opening(),
            config: OperationConfig::default(),
        };
        let call = owned.expander.ask(None, rest, &mut feeder, owned.reach());
        [size_of_val(&call), size_of_val(&*read)]
    }

    /// glibc keeps freed blocks of up to 1,032 bytes for each thread.
    #[test]
    fn the_rest_of_a_call_to_a_remote_store_and_that_of_a_read_are_small() {
        let redis = || {
            let config = RedisConfig::from_url("redis://127.0.0.1:1")?;
            RedisBackend::new(config)
        };
        let fixed = redis().map(rests);
        let chosen = redis().map(|redis| rests(AnyBackend::from(redis)));
        for bytes in [fixed, chosen] {
            assert!(matches!(bytes, Ok([..=1_032, ..=1_032])), "{bytes:?} bytes");
        }
    }
}
