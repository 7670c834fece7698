//! A cache that owns its repository: loads in tasks of their own, and refreshes in the background.

mod ahead;
mod coalesced;
mod loads;
mod outage;
mod policy;
mod reads;
mod settled;
mod stale;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_kit::backend::{CacheBackend, InMemoryBackend};
use cache_kit::observability::{CacheEvent, CacheMetrics, TtlPolicy};
use cache_kit::testing::ManualClock;
use cache_kit::{CacheExpander, CacheService, CachedRepository, FreshnessPolicy, Outcome};
use cache_kit_tests::{Gated, Row};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const TTL: Duration = Duration::from_secs(60);
pub(crate) const REVALIDATED: Duration = Duration::from_secs(30);
pub(crate) const IF_ERROR: Duration = Duration::from_secs(600);

/// Fresh for a minute, then answered for half of one while it is refreshed, then in place of an error
/// for ten.
pub(crate) fn with_grace() -> FreshnessPolicy {
    FreshnessPolicy::default()
        .with_stale_while_revalidate(REVALIDATED)
        .with_stale_if_error(IF_ERROR)
}

/// What a service has told its listener.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    pub(crate) fn count(&self, what: &str) -> usize {
        let heard = self.0.lock().unwrap();
        heard.iter().filter(|event| event.contains(what)).count()
    }
}

impl CacheMetrics for Heard {
    fn record_hit(&self, key: &str, _: Duration) {
        self.0.lock().unwrap().push(format!("hit {key}"));
    }

    fn record_miss(&self, key: &str, _: Duration) {
        self.0.lock().unwrap().push(format!("miss {key}"));
    }

    fn record_error(&self, key: &str, error: &str) {
        self.0.lock().unwrap().push(format!("error {key} {error}"));
    }

    fn record_event(&self, key: &str, event: &CacheEvent) {
        self.0.lock().unwrap().push(format!("{event:?} {key}"));
    }
}

/// A table with row `k` in version 1, and a service in front of it whose time is set by hand.
pub(crate) struct Scene<B: CacheBackend = InMemoryBackend> {
    pub(crate) time: ManualClock,
    pub(crate) service: CacheService<B>,
    pub(crate) rows: CachedRepository<Row, B>,
    pub(crate) database: Gated,
    pub(crate) heard: Heard,
}

impl Scene {
    pub(crate) fn new(policy: FreshnessPolicy) -> Self {
        Self::over(InMemoryBackend::new(), policy)
    }
}

impl<B: CacheBackend> Scene<B> {
    pub(crate) fn over(backend: B, policy: FreshnessPolicy) -> Self {
        let database = Gated::open();
        database.set("k", 1);
        Self::with(backend, policy, database, ManualClock::new(), |expander| {
            expander
        })
    }

    pub(crate) fn with(
        backend: B,
        policy: FreshnessPolicy,
        database: Gated,
        time: ManualClock,
        set: impl FnOnce(CacheExpander<B>) -> CacheExpander<B>,
    ) -> Self {
        let heard = Heard::default();
        let expander = CacheExpander::new(backend)
            .with_clock(time.clock())
            .with_metrics(Box::new(heard.clone()))
            .with_ttl_policy(TtlPolicy::Fixed(TTL))
            .with_freshness(policy);
        let service: CacheService<B> = set(expander).into();
        let rows = service.repository(database.clone());
        Self {
            time,
            service,
            rows,
            database,
            heard,
        }
    }

    /// Reads row `k`.
    pub(crate) async fn get(&self) -> (Option<u64>, Outcome) {
        self.get_of("k").await
    }

    pub(crate) async fn get_of(&self, id: &str) -> (Option<u64>, Outcome) {
        let id = id.to_owned();
        let (row, outcome) = self.rows.get(&id).with_outcome().await.unwrap();
        (row.map(|row| row.version), outcome)
    }

    /// Lets everything in the background end.
    pub(crate) async fn settled(&self) {
        while self.service.expander().background_tasks() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
