//! [`Cache`]: the service's cache, in its own memory, or in Redis or Memcached, shared with others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_kit::backend::{
    CacheBackend, Health, InMemoryBackend, Invalidated, MemcachedBackend, MemcachedConfig,
    RedisBackend, RedisConfig,
};
use cache_kit::observability::{CacheEvent, CacheMetrics};
use cache_kit::{CacheExpander, CacheService, CacheStrategy, Outcome};
use serde_json::{Value, json};

use crate::entity::{Airport, GetAirportFeeder};
use crate::failure::Failure;
use crate::repository::AirportRepository;

/// Chosen by a URL when the service starts. Clones are one cache.
#[derive(Clone)]
pub(crate) enum Cache {
    /// Has room for more entries than there are airports, and has its own statistics.
    Memory(CacheService<InMemoryBackend>),
    Redis(CacheService<RedisBackend>, Arc<Counters>),
    Memcached(CacheService<MemcachedBackend>, Arc<Counters>),
}

impl Cache {
    /// `memory://`, or what [`RedisConfig::from_url`] or [`MemcachedConfig::from_url`] takes. Does
    /// not connect yet, so a service starts while its Redis is down.
    pub(crate) fn open(url: &str) -> Result<Self, Failure> {
        if url == "memory://" {
            let backend = InMemoryBackend::builder().max_entries(20_000).build();
            return Ok(Self::Memory(CacheService::new(backend)));
        }
        // cache-kit's errors do not repeat the URL, which may contain a password.
        let refused = Failure::when("use the cache's URL as memory:// or redis:// or memcached://");
        if url.starts_with("memcached:") {
            let backend = MemcachedConfig::from_url(url).and_then(MemcachedBackend::new);
            let (service, counters) = counted(backend.map_err(refused)?);
            return Ok(Self::Memcached(service, counters));
        }
        let backend = RedisConfig::from_url(url).and_then(RedisBackend::new);
        let (service, counters) = counted(backend.map_err(refused)?);
        Ok(Self::Redis(service, counters))
    }

    /// [`CacheService::execute`].
    pub(crate) async fn execute(
        &self,
        feeder: &mut GetAirportFeeder,
        airports: &AirportRepository,
        strategy: CacheStrategy,
    ) -> cache_kit::Result<Outcome> {
        match self {
            Self::Memory(cache) => cache.execute(feeder, airports, strategy).await,
            Self::Redis(cache, _) => cache.execute(feeder, airports, strategy).await,
            Self::Memcached(cache, _) => cache.execute(feeder, airports, strategy).await,
        }
    }

    /// [`CacheService::invalidate`].
    pub(crate) async fn invalidate(&self, icao: &String) -> cache_kit::Result<Invalidated> {
        match self {
            Self::Memory(cache) => cache.invalidate::<Airport>(icao).await,
            Self::Redis(cache, _) => cache.invalidate::<Airport>(icao).await,
            Self::Memcached(cache, _) => cache.invalidate::<Airport>(icao).await,
        }
    }

    /// What this process did with the cache so far, and the health of the cache.
    pub(crate) fn stats(&self) -> Value {
        let [hits, misses, stores, fenced, invalidations, errors] = match self {
            Self::Memory(cache) => {
                let of = cache.backend().stats();
                let errors = 0;
                [
                    of.hits,
                    of.misses,
                    of.stores,
                    of.fenced,
                    of.invalidations,
                    errors,
                ]
            }
            Self::Redis(_, counters) | Self::Memcached(_, counters) => counters
                .all()
                .map(|counter| counter.load(Ordering::Relaxed)),
        };
        json!({
            "hits": hits,
            "misses": misses,
            "stores": stores,
            "fenced": fenced,
            "invalidations": invalidations,
            "errors": errors,
            "health": self.health(),
        })
    }

    /// Which cache it is and, if it is a remote one, its health as this process sees it.
    pub(crate) fn health(&self) -> Value {
        match self {
            Self::Memory(_) => json!({ "kind": "memory", "available": true }),
            Self::Redis(cache, _) => told("redis", cache.backend().health()),
            Self::Memcached(cache, _) => told("memcached", cache.backend().health()),
        }
    }
}

fn told(kind: &str, health: Health) -> Value {
    json!({
        "kind": kind,
        "available": health.available,
        "pending_invalidations": health.pending_invalidations,
        "last_error": health.last_error,
    })
}

/// A service over a shared cache, with a listener that counts.
fn counted<B: CacheBackend>(backend: B) -> (CacheService<B>, Arc<Counters>) {
    let counters = Arc::new(Counters::default());
    let listener = Box::new(Listener(Arc::clone(&counters)));
    let expander = CacheExpander::new(backend).with_metrics(listener);
    (expander.into(), counters)
}

/// Counts this process's use of a shared cache: the servers' own counters cover all processes.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    stores: AtomicU64,
    fenced: AtomicU64,
    invalidations: AtomicU64,
    errors: AtomicU64,
}

impl Counters {
    fn all(&self) -> [&AtomicU64; 6] {
        [
            &self.hits,
            &self.misses,
            &self.stores,
            &self.fenced,
            &self.invalidations,
            &self.errors,
        ]
    }
}

struct Listener(Arc<Counters>);

impl CacheMetrics for Listener {
    fn record_hit(&self, _: &str, _: Duration) {
        self.0.hits.fetch_add(1, Ordering::Relaxed);
    }

    fn record_miss(&self, _: &str, _: Duration) {
        self.0.misses.fetch_add(1, Ordering::Relaxed);
    }

    fn record_set(&self, _: &str, _: Duration) {
        self.0.stores.fetch_add(1, Ordering::Relaxed);
    }

    fn record_delete(&self, _: &str, _: Duration) {
        self.0.invalidations.fetch_add(1, Ordering::Relaxed);
    }

    fn record_error(&self, _: &str, _: &str) {
        self.0.errors.fetch_add(1, Ordering::Relaxed);
    }

    fn record_event(&self, _: &str, event: &CacheEvent) {
        if *event == CacheEvent::Fenced {
            self.0.fenced.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn wants_durations(&self) -> bool {
        false
    }
}
