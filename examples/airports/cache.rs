//! [`Cache`]: the service's cache, in its own memory, or in Redis or Memcached, shared with others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_kit::backend::{AnyBackend, Invalidated};
use cache_kit::observability::{CacheEvent, CacheMetrics};
use cache_kit::{CacheExpander, CacheService, CacheStrategy, Outcome};
use serde_json::{Value, json};

use crate::entity::{Airport, GetAirportFeeder};
use crate::failure::Failure;
use crate::repository::AirportRepository;

/// Chosen by a URL when the service starts. Clones are one cache.
#[derive(Clone)]
pub(crate) struct Cache {
    service: CacheService<AnyBackend>,
    counters: Arc<Counters>,
}

impl Cache {
    /// What [`AnyBackend::from_url`] takes. Does not connect yet, so a service starts while its Redis
    /// is down.
    pub(crate) fn open(url: &str) -> Result<Self, Failure> {
        // cache-kit's errors do not repeat the URL, which may contain a password.
        let refused = Failure::when("use the cache's URL");
        let backend = AnyBackend::from_url(url).map_err(refused)?;
        let counters = Arc::new(Counters::default());
        let listener = Box::new(Listener(Arc::clone(&counters)));
        let service = CacheExpander::new(backend).with_metrics(listener).into();
        Ok(Self { service, counters })
    }

    /// [`CacheService::execute`].
    pub(crate) async fn execute(
        &self,
        feeder: &mut GetAirportFeeder,
        airports: &AirportRepository,
        strategy: CacheStrategy,
    ) -> cache_kit::Result<Outcome> {
        self.service.execute(feeder, airports, strategy).await
    }

    /// [`CacheService::execute_many`] with the default strategy.
    pub(crate) async fn execute_many(
        &self,
        feeders: &mut Vec<GetAirportFeeder>,
        airports: &AirportRepository,
    ) -> cache_kit::Result<Vec<Outcome>> {
        self.service
            .execute_many(feeders, airports, CacheStrategy::Refresh)
            .await
    }

    /// [`CacheService::invalidate`].
    pub(crate) async fn invalidate(&self, icao: &String) -> cache_kit::Result<Invalidated> {
        self.service.invalidate::<Airport>(icao).await
    }

    /// What this process did with the cache so far, and the health of the cache.
    pub(crate) fn stats(&self) -> Value {
        let counters = self.counters.all();
        let [hits, misses, stores, fenced, invalidations, errors] =
            counters.map(|counter| counter.load(Ordering::Relaxed));
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

    /// Which cache it is, and its health and that of its servers, as this process sees them.
    pub(crate) fn health(&self) -> Value {
        let backend = self.service.backend();
        let health = self.service.health();
        let nodes = health.nodes.iter().map(|node| {
            json!({
                "name": node.name,
                "role": node.role.as_str(),
                "available": node.available,
                "pending_invalidations": node.pending_invalidations,
            })
        });
        json!({
            "kind": backend.kind(),
            "available": health.available,
            "pending_invalidations": health.pending_invalidations,
            "last_error": health.last_error,
            "nodes": nodes.collect::<Vec<_>>(),
        })
    }

    /// Asks the cache now whether it answers.
    pub(crate) async fn ping(&self) -> cache_kit::Result<()> {
        self.service.ping().await
    }
}

/// Counts this process's use of the cache: a server's own counters cover all processes.
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
