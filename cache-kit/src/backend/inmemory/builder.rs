//! [`InMemoryBuilder`]: the bounds of an in-memory backend.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::engine::{Engine, EvictionCause, Map};
use super::fence::Fences;
use super::kinds::Kinds;
#[cfg(feature = "moka")]
use super::moka::MokaMap;
use super::quick::QuickMap;
use super::stats::Stats;
use super::watchers::Watchers;
use super::{InMemoryBackend, Shared};
use crate::backend::EntityTypes;

const DEFAULT_ENTRIES: u64 = 100_000;

/// moka panics above this.
#[cfg(feature = "moka")]
const LONGEST_IDLE: Duration = Duration::from_secs(1_000 * 365 * 24 * 3_600);

pub(super) type Weigher = Arc<dyn Fn(&Weighed<'_>) -> u64 + Send + Sync>;
pub(super) type EvictionListener = Arc<dyn Fn(&Evicted<'_>) + Send + Sync>;

/// Builds an [`InMemoryBackend`].
#[must_use = "a builder does nothing before `build`"]
pub struct InMemoryBuilder {
    engine: Engine,
    capacity: u64,
    weigher: Option<Weigher>,
    default_ttl: Option<Duration>,
    idle: Option<Duration>,
    listener: Option<EvictionListener>,
}

impl InMemoryBuilder {
    pub(super) fn new() -> Self {
        Self {
            engine: Engine::default(),
            capacity: DEFAULT_ENTRIES,
            weigher: None,
            default_ttl: None,
            idle: None,
            listener: None,
        }
    }

    /// Which map keeps the entries. Default: [`Engine::QuickCache`].
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// How many entries are kept. Default 100,000; with 0 nothing is kept. The default engine
    /// keeps about 99 % of it when full.
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.capacity = entries;
        self.weigher = None;
        self
    }

    /// Bounds the sum of the entries' weights instead of their number. `weigher` gives the weight
    /// of an entry; it counts as at least 1 and at most 2³¹ - 1.
    ///
    /// No entry may be heavier than `max`. The default engine has up to 32 shards of equal size,
    /// and takes no entry that is heavier than a shard. An entry of up to 3 % of `max` always fits:
    /// with `max` in bytes and 64 MiB or more, that includes an entry of 1 MiB.
    ///
    /// If the weigher panics, only the store fails: the caller still gets what was loaded.
    ///
    /// ```
    /// use cache_kit::backend::InMemoryBackend;
    ///
    /// # #[derive(Clone)] struct Page { html: String }
    /// let pages = InMemoryBackend::builder()
    ///     .max_weight(64 << 20, |entry| match entry.entity::<Page>() {
    ///         Some(page) => page.html.len() as u64,
    ///         None => 64,
    ///     })
    ///     .build();
    /// ```
    pub fn max_weight(
        mut self,
        max: u64,
        weigher: impl Fn(&Weighed<'_>) -> u64 + Send + Sync + 'static,
    ) -> Self {
        self.capacity = max;
        self.weigher = Some(Arc::new(weigher));
        self
    }

    /// How long an entry lives if neither its call, its service nor its type sets a time to live.
    /// Default: for ever.
    pub fn default_ttl(mut self, ttl: Duration) -> Self {
        self.default_ttl = Some(ttl);
        self
    }

    /// Drops entries that have not been looked up for `idle`. Only moka can do this, so this
    /// chooses [`Engine::Moka`], whatever [`engine`](Self::engine) says. Measured by the machine's
    /// clock; at most 1,000 years.
    #[cfg(feature = "moka")]
    pub fn time_to_idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle.min(LONGEST_IDLE));
        self
    }

    /// Tells `listener` of every entry that is dropped to make room or for being idle. Invalidated,
    /// replaced and cleared entries are not reported. The listener runs inside any call of the
    /// cache, outside of its locks. If it panics, that call goes on.
    pub fn on_eviction(mut self, listener: impl Fn(&Evicted<'_>) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// The backend.
    pub fn build(self) -> InMemoryBackend {
        let map = self.map();
        InMemoryBackend {
            shared: Arc::new(Shared {
                map,
                fences: Fences::new(),
                stats: Stats::default(),
                default_ttl: self.default_ttl,
                weigher: self.weigher,
                listener: self.listener,
                types: EntityTypes::new(),
                kinds: Kinds::default(),
                watchers: Watchers::default(),
            }),
        }
    }

    fn map(&self) -> Map {
        let weighed = self.weigher.is_some();
        #[cfg(feature = "moka")]
        if self.engine == Engine::Moka || self.idle.is_some() {
            return Map::Moka(MokaMap::new(self.capacity, weighed, self.idle));
        }
        Map::Quick(match weighed {
            true => QuickMap::of_weight(self.capacity),
            false => QuickMap::of_entries(self.capacity),
        })
    }
}

impl fmt::Debug for InMemoryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryBuilder")
            .field("engine", &self.engine)
            .field("capacity", &self.capacity)
            .field("weighed", &self.weigher.is_some())
            .field("default_ttl", &self.default_ttl)
            .field("idle", &self.idle)
            .field("listens", &self.listener.is_some())
            .finish()
    }
}

/// An entry to weigh.
#[derive(Debug, Clone, Copy)]
pub struct Weighed<'a> {
    key: &'a str,
    value: Option<&'a dyn Any>,
}

impl<'a> Weighed<'a> {
    pub(super) fn new(key: &'a str, value: Option<&'a dyn Any>) -> Self {
        Self { key, value }
    }

    /// The cache key: `user:42`.
    pub fn key(&self) -> &'a str {
        self.key
    }

    /// The entity, if it is a `T`; a known absence is none.
    pub fn entity<T: 'static>(&self) -> Option<&'a T> {
        self.value?.downcast_ref()
    }
}

/// An entry that was dropped to make room, or for being idle.
#[derive(Debug, Clone, Copy)]
pub struct Evicted<'a> {
    key: &'a str,
    value: Option<&'a Arc<dyn Any + Send + Sync>>,
    cause: EvictionCause,
}

impl<'a> Evicted<'a> {
    pub(super) fn new(
        key: &'a str,
        value: Option<&'a Arc<dyn Any + Send + Sync>>,
        cause: EvictionCause,
    ) -> Self {
        Self { key, value, cause }
    }

    /// The cache key: `user:42`.
    pub fn key(&self) -> &'a str {
        self.key
    }

    /// Why it was dropped.
    pub fn cause(&self) -> EvictionCause {
        self.cause
    }

    /// The entity, if it is a `T`; a known absence is none.
    pub fn entity<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        Arc::clone(self.value?).downcast().ok()
    }
}
