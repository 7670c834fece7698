//! Namespace, times to live, metrics, and invalidations without a load.

use std::time::Duration;

use cache_kit::CacheStrategy::{Fresh, Invalidate, Refresh};
use cache_kit::backend::{InMemoryBackend, Invalidated};
use cache_kit::observability::StoreResult;
use cache_kit::testing::{Fault, FaultyBackend, ManualClock};
use cache_kit::{CacheExpander, CacheService, OperationConfig, Source};
use cache_kit_tests::{Gated, Row};

use super::{Log, Rows, batch, scene, single, sources, stores};
use crate::counted::Counted;

#[tokio::test]
async fn a_namespace_stands_before_every_key() {
    let backend = InMemoryBackend::new();
    let blue = CacheExpander::new(backend.clone())
        .with_namespace("blue")
        .unwrap();
    let (_, database) = scene(Gated::open());
    let mut rows = Rows::of(&["a", "b"]);
    blue.with_many(&mut rows, &database, Refresh).await.unwrap();
    assert_eq!(rows.said[..2], ["miss 0 blue:row:a", "miss 1 blue:row:b"]);
    let plain = CacheService::new(backend);
    let (_, seen) = batch(&plain, &database, &["a", "b"], Fresh).await.unwrap();
    assert_eq!(seen, [None, None]);
    let blue = CacheService::from(blue);
    let (_, seen) = batch(&blue, &database, &["a", "b"], Fresh).await.unwrap();
    assert_eq!(seen, [Some(1), Some(1)]);
}

#[tokio::test]
async fn settings_hold_for_every_key() {
    let time = ManualClock::new();
    let expander = CacheExpander::new(Counted::new(InMemoryBackend::new()));
    let service = CacheService::from(expander.with_clock(time.clock()));
    let (_, database) = scene(Gated::open());
    let config = OperationConfig::default().with_ttl(Duration::from_secs(10));
    let ask = async |config| {
        let mut rows = Rows::of(&["a", "b"]);
        let outcomes = service
            .execute_many_with_config(&mut rows, &database, Refresh, config)
            .await;
        outcomes.unwrap()
    };
    let unstored = ask(OperationConfig::default().with_ttl(Duration::ZERO)).await;
    assert_eq!(stores(&unstored), [StoreResult::NotTried; 2]);
    assert_eq!(
        service.backend().calls(),
        "get_many 1, lease_many 1, release_many 1"
    );
    assert_eq!(stores(&ask(config).await), [StoreResult::Stored; 2]);
    time.advance(Duration::from_secs(9));
    let aged = ask(config).await;
    assert_eq!(sources(&aged), [Source::Cache; 2]);
    assert_eq!(aged[0].age(), Some(Duration::from_secs(9)));
    time.advance(Duration::from_secs(1));
    assert_eq!(sources(&ask(config).await), [Source::Repository; 2]);
}

#[tokio::test]
async fn many_keys_are_invalidated_without_a_load() {
    let log = Log::default();
    let backend = FaultyBackend::new(Counted::new(InMemoryBackend::new()));
    let service =
        CacheService::from(CacheExpander::new(backend.clone()).with_metrics(Box::new(log.clone())));
    let (_, database) = scene(Gated::open());
    let ids = ["a", "b", "a"].map(str::to_owned);
    batch(&service, &database, &["a", "b", "c"], Refresh)
        .await
        .unwrap();
    log.take();
    let done = service.invalidate_many::<Row>(&ids).await.unwrap();
    assert_eq!(done, Invalidated::Done);
    assert_eq!(log.take(), ["delete row:a", "delete row:b"]);
    let (_, seen) = batch(&service, &database, &["a", "b", "c"], Fresh)
        .await
        .unwrap();
    assert_eq!(seen, [None, None, Some(1)]);
    let nothing = service.invalidate_many::<Row>(&[]).await.unwrap();
    assert_eq!(nothing, Invalidated::Done);

    log.take();
    backend.fail(Fault::InvalidationsPending);
    let pending = service.invalidate_many::<Row>(&ids).await.unwrap();
    assert_eq!(pending, Invalidated::Pending);
    assert_eq!(
        log.take(),
        ["row:a InvalidationPending", "row:b InvalidationPending"]
    );
    backend.fail(Fault::Down);
    let error = service.invalidate_many::<Row>(&ids).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cache backend failed: invalidate row:a: told to fail"
    );
    assert_eq!(log.take(), ["error row:a", "error row:b"]);
}

#[tokio::test]
async fn metrics_are_told_of_every_key_once() {
    let log = Log::default();
    let expander = CacheExpander::new(InMemoryBackend::new()).with_metrics(Box::new(log.clone()));
    let service = CacheService::from(expander);
    let (_, database) = scene(Gated::open());
    single(&service, &database, "a", Refresh).await.unwrap();
    log.take();
    batch(&service, &database, &["b", "a", "nobody", "b"], Refresh)
        .await
        .unwrap();
    assert_eq!(
        log.take(),
        [
            "miss row:b",
            "hit row:a",
            "miss row:nobody",
            "load row:b",
            "load row:nobody",
            "set row:b",
        ]
    );
    batch(&service, &database, &["b", "a"], Invalidate)
        .await
        .unwrap();
    assert_eq!(
        log.take(),
        [
            "delete row:b",
            "delete row:a",
            "load row:b",
            "load row:a",
            "set row:b",
            "set row:a",
        ]
    );
}
