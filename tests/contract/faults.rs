//! What the outcome says when the backend fails in part.

use cache_kit::backend::{InMemoryBackend, Invalidated};
use cache_kit::observability::{CacheEvent, CacheMetrics, StoreResult};
use cache_kit::testing::{Fault, FaultyBackend};
use cache_kit::{
    CacheExpander, CacheStrategy, ErrorKind, OperationConfig, Outcome, Result, SharedFeeder, Source,
};
use cache_kit_tests::{Gated, Row};
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl CacheMetrics for Log {
    fn record_error(&self, key: &str, error: &str) {
        self.0.lock().unwrap().push(format!("{key}: {error}"));
    }

    fn record_event(&self, key: &str, event: &CacheEvent) {
        if !matches!(event, CacheEvent::Loaded { .. }) {
            self.0.lock().unwrap().push(format!("{key}: {event:?}"));
        }
    }

    fn wants_durations(&self) -> bool {
        false
    }
}

struct Scene {
    expander: CacheExpander<FaultyBackend<InMemoryBackend>>,
    database: Gated,
    log: Log,
}

impl Scene {
    fn new() -> Self {
        let log = Log::default();
        let database = Gated::open();
        database.set("a", 1);
        Self {
            expander: CacheExpander::new(FaultyBackend::new(InMemoryBackend::new()))
                .with_metrics(Box::new(log.clone())),
            database,
            log,
        }
    }

    async fn call(&self, strategy: CacheStrategy, config: OperationConfig) -> Result<Outcome> {
        let mut feeder = SharedFeeder::<Row>::new("a".to_owned());
        let outcome = self
            .expander
            .with_config(&mut feeder, &self.database, strategy, config)
            .await?;
        let fed = feeder.entity.is_some();
        assert_eq!(fed, outcome.source() != Source::Nothing);
        Ok(outcome)
    }

    fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.0.lock().unwrap())
    }
}

const DEFAULT: fn() -> OperationConfig = OperationConfig::default;

#[tokio::test]
async fn no_lease_no_store_and_the_answer_all_the_same() {
    let scene = Scene::new();
    scene.expander.backend().fail(Fault::Leases);
    for strategy in [CacheStrategy::Refresh, CacheStrategy::Bypass] {
        let outcome = scene.call(strategy, DEFAULT()).await.unwrap();
        assert_eq!(outcome.source(), Source::Repository);
        assert_eq!(outcome.store(), StoreResult::NotTried);
        assert!(outcome.degraded().store && !outcome.degraded().read);
    }
    assert_eq!(
        scene.log(),
        ["row:a: cache backend failed: told to fail"; 2]
    );
    // An invalidation that will not be sent again is an error, not a silent loss.
    let error = scene
        .call(CacheStrategy::Invalidate, DEFAULT())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    assert_eq!(
        error.to_string(),
        "cache backend failed: invalidate row:a: told to fail"
    );
    assert_eq!(scene.expander.loads_in_flight(), 0);
}

#[tokio::test]
async fn a_failed_store_is_reported_and_the_next_call_stores() {
    let scene = Scene::new();
    scene.expander.backend().fail(Fault::Stores);
    let outcome = scene.call(CacheStrategy::Refresh, DEFAULT()).await.unwrap();
    assert_eq!(outcome.store(), StoreResult::Failed);
    assert!(outcome.degraded().any());
    scene.expander.backend().recover();
    let outcome = scene.call(CacheStrategy::Refresh, DEFAULT()).await.unwrap();
    assert_eq!(outcome.store(), StoreResult::Stored);
    assert!(!outcome.degraded().any());
    assert!(
        scene
            .call(CacheStrategy::Fresh, DEFAULT())
            .await
            .unwrap()
            .is_hit()
    );
}

#[tokio::test]
async fn a_pending_invalidation_is_said_and_strictly_an_error() {
    let scene = Scene::new();
    scene.expander.backend().fail(Fault::InvalidationsPending);
    let outcome = scene
        .call(CacheStrategy::Invalidate, DEFAULT())
        .await
        .unwrap();
    assert!(outcome.degraded().invalidation_pending);
    assert_eq!(
        (outcome.source(), outcome.store()),
        (Source::Repository, StoreResult::NotTried)
    );
    assert_eq!(scene.log(), ["row:a: InvalidationPending"]);

    let strict = DEFAULT().with_strict_invalidation();
    let error = scene
        .call(CacheStrategy::Invalidate, strict)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    assert_eq!(scene.database.loads(), 1);
    assert_eq!(scene.expander.loads_in_flight(), 0);

    let key = "a".to_owned();
    let pending = scene.expander.invalidate::<Row>(&key).await.unwrap();
    assert_eq!(pending, Invalidated::Pending);
    scene.expander.backend().fail(Fault::Down);
    let error = scene.expander.invalidate::<Row>(&key).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cache backend failed: invalidate row:a: told to fail"
    );
}
