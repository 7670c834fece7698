//! What a service says of its cache when it is asked: whether it answers, how it is doing, how much it
//! keeps, and what a key is called in it.

use cache_kit::CacheStrategy::Refresh;
use cache_kit::backend::{AnyBackend, CacheBackend, Encoded, EncodedConfig, InMemoryBackend};
use cache_kit::testing::{Fault, FaultyBackend, RecordingMetrics};
use cache_kit::{CacheEntity, CacheExpander, CacheService, ErrorKind};
use cache_kit_tests::{Gated, Row};
use serde::{Deserialize, Serialize};

use super::counted::Counted;
use super::shelf::{Fate, Op, Shelf};

#[tokio::test]
async fn memory_has_nothing_that_can_fail() {
    let memory = InMemoryBackend::new();
    assert_eq!(CacheBackend::health(&memory), None);
    let service = CacheService::new(memory.clone());
    service.ping().await.unwrap();
    assert!(service.health().available && service.health().nodes.is_empty());

    let any = AnyBackend::from(memory);
    assert_eq!(CacheBackend::health(&any), None);
    assert!(any.health().available);
}

#[tokio::test]
async fn a_service_asks_its_store_through_every_wrapper() {
    let shelf = Shelf::default();
    let any = AnyBackend::custom(shelf.clone(), EncodedConfig::new());
    let service = CacheService::new(FaultyBackend::new(Counted::new(any)));
    service.ping().await.unwrap();
    assert_eq!(shelf.count(Op::Ping), 1);

    shelf.make(Op::Ping, [Fate::Fails]);
    let error = service.ping().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend, "{error}");

    // What the store refuses is known to all that wrap it.
    shelf.make(Op::Delete, [Fate::Refused]);
    let key = "k".to_owned();
    service.invalidate::<Row>(&key).await.unwrap();
    let health = service.health();
    assert_eq!(health.pending_invalidations, 1, "{health:?}");
    assert!(health.last_refusal.is_some(), "{health:?}");
}

#[tokio::test]
async fn a_backend_that_is_told_to_be_down_says_so() {
    let service = CacheService::new(FaultyBackend::new(InMemoryBackend::new()));
    service.backend().fail(Fault::Reads);
    service.ping().await.unwrap();
    assert!(service.health().available);

    service.backend().fail(Fault::Down);
    service.ping().await.unwrap_err();
    let health = service.health();
    assert!(
        !health.available && health.last_error.is_some(),
        "{health:?}"
    );

    service.backend().recover();
    service.ping().await.unwrap();
    assert!(service.health().available);
}

#[tokio::test]
async fn memory_counts_its_entries_through_every_wrapper() {
    let database = Gated::open();
    let any = AnyBackend::from(InMemoryBackend::new());
    let service = CacheService::new(FaultyBackend::new(Counted::new(any)));
    assert_eq!(service.backend().entries(), Some(0));
    for (id, kept) in [("a", 1), ("b", 2), ("a", 2)] {
        database.set(id, 1);
        let mut feeder = cache_kit::SharedFeeder::<Row>::new(id.to_owned());
        service
            .execute(&mut feeder, &database, Refresh)
            .await
            .unwrap();
        assert_eq!(service.backend().entries(), Some(kept), "{id}");
    }
    // A store that other processes share does not know.
    assert_eq!(Encoded::over(Shelf::default()).entries(), None);
}

/// An entity with a prefix that no derive accepts.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Misnamed;

impl CacheEntity for Misnamed {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        0
    }

    fn cache_prefix() -> &'static str {
        "a:b"
    }
}

#[tokio::test]
async fn a_key_is_called_what_the_store_and_the_listener_call_it() {
    for (namespace, name) in [(None, "row:42"), (Some("blue"), "blue:row:42")] {
        let shelf = Shelf::default();
        let metrics = RecordingMetrics::new();
        let mut expander = CacheExpander::new(Encoded::over(shelf.clone()));
        expander = expander.with_metrics(metrics.boxed());
        if let Some(namespace) = namespace {
            expander = expander.with_namespace(namespace).unwrap();
        }
        let service = CacheService::from(expander);
        let database = Gated::open();
        database.set("42", 1);
        let rows = service.repository_of::<Row, _>(database);
        let id = "42".to_owned();

        assert_eq!(service.cache_key::<Row>(&id).unwrap(), name);
        assert_eq!(service.expander().cache_key::<Row>(&id).unwrap(), name);
        assert_eq!(rows.cache_key(&id).unwrap(), name);
        rows.get(&id).await.unwrap();
        assert!(shelf.value(name).is_some());
        assert_eq!(metrics.counts_of(name).misses, 1, "{metrics:?}");

        // It is what an invalidation from outside names.
        service.invalidate_text(name).await.unwrap();
        assert!(shelf.value(name).is_none());
    }
    let service = CacheService::new(InMemoryBackend::new());
    let error = service.cache_key::<Misnamed>(&1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

#[tokio::test]
async fn a_service_reports_to_the_listener_that_it_was_made_with() {
    let metrics = RecordingMetrics::new();
    let service = CacheService::with_metrics(InMemoryBackend::new(), metrics.boxed());
    let database = Gated::open();
    database.set("42", 1);
    let rows = service.repository_of::<Row, _>(database);
    for _ in 0..2 {
        rows.get(&"42".to_owned()).await.unwrap();
    }
    let counts = metrics.counts_of("row:42");
    assert_eq!((counts.misses, counts.stores, counts.hits), (1, 1, 1));
}
