//! No stale write after an invalidation, between two processes that share a server.

use cache_kit::CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::Invalidated;
use cache_kit::observability::StoreResult;
use cache_kit::{Outcome, Result, Source};
use cache_kit_tests::servers::RedisServer;
use cache_kit_tests::{Gated, Row};
use tokio::task::JoinHandle;

use super::{Service, call, service};

/// Two processes on one server, and a database whose loads wait at a gate.
struct Scene {
    server: RedisServer,
    here: Service,
    there: Service,
    database: Gated,
}

type Answer = JoinHandle<Result<(Outcome, Option<u64>)>>;

impl Scene {
    fn new() -> Self {
        let server = RedisServer::start();
        let database = Gated::closed();
        database.set("k", 1);
        Self {
            here: service(&server.url()),
            there: service(&server.url()),
            server,
            database,
        }
    }

    fn spawn(&self, service: &Service, strategy: cache_kit::CacheStrategy) -> Answer {
        let (service, database) = (service.clone(), self.database.clone());
        tokio::spawn(async move { call(&service, &database, "k", strategy).await })
    }

    /// A Refresh that has read version 1 and waits with it at the gate.
    async fn slow(&self, strategy: cache_kit::CacheStrategy) -> Answer {
        let slow = self.spawn(&self.here, strategy);
        self.database.entered(1).await;
        self.database.set("k", 2);
        slow
    }

    /// Lets the slow load go on; its row must not be stored, and nothing old may be served.
    async fn judge(&self, slow: Answer) {
        self.database.let_through(1);
        let (outcome, seen) = slow.await.unwrap().unwrap();
        assert_eq!((outcome.store(), seen), (StoreResult::Fenced, Some(1)));
        for service in [&self.here, &self.there] {
            let (_, seen) = call(service, &self.database, "k", Fresh).await.unwrap();
            assert_ne!(seen, Some(1), "the old value came back");
        }
    }
}

#[tokio::test]
async fn a_slow_refresh_never_undoes_an_invalidation_elsewhere() {
    let scene = Scene::new();
    let slow = scene.slow(Refresh).await;
    let invalidate = scene.spawn(&scene.there, Invalidate);
    scene.database.entered(2).await;
    let (outcome, seen) = call(&scene.here, &scene.database, "k", Fresh)
        .await
        .unwrap();
    assert_eq!((outcome.source(), seen), (Source::Nothing, None));
    scene.database.let_through(2);
    let (outcome, seen) = invalidate.await.unwrap().unwrap();
    assert_eq!((outcome.store(), seen), (StoreResult::Stored, Some(2)));
    scene.judge(slow).await;
    let (_, seen) = call(&scene.here, &scene.database, "k", Fresh)
        .await
        .unwrap();
    assert_eq!(seen, Some(2));
}

#[tokio::test]
async fn nor_one_without_a_load() {
    let scene = Scene::new();
    let slow = scene.slow(Refresh).await;
    let done = scene
        .there
        .invalidate::<Row>(&"k".to_owned())
        .await
        .unwrap();
    assert_eq!(done, Invalidated::Done);
    scene.judge(slow).await;
}

#[tokio::test]
async fn nor_a_delete_a_set_or_a_flush_by_anybody() {
    let by_hand: [&[&str]; 4] = [
        &["DEL", "row:k"],
        &["SET", "row:k", ""],
        &[
            "SET",
            "row:k",
            "garbage that is longer than any head of an entry could be, by some bytes more",
        ],
        &["FLUSHDB"],
    ];
    for command in by_hand {
        let scene = Scene::new();
        let slow = scene.slow(Refresh).await;
        assert!(scene.server.command(command).error().is_none());
        scene.judge(slow).await;
    }
}

#[tokio::test]
async fn a_slow_bypass_and_a_slow_invalidate_are_fenced_alike() {
    for strategy in [Bypass, Invalidate] {
        let scene = Scene::new();
        let slow = scene.slow(strategy).await;
        scene
            .there
            .invalidate::<Row>(&"k".to_owned())
            .await
            .unwrap();
        scene.judge(slow).await;
    }
}

#[tokio::test]
async fn a_reader_after_the_invalidation_never_joins_the_older_load() {
    let scene = Scene::new();
    let slow = scene.slow(Refresh).await;
    scene
        .there
        .invalidate::<Row>(&"k".to_owned())
        .await
        .unwrap();
    let reader = scene.spawn(&scene.here, Refresh);
    scene.database.entered(2).await;
    scene.database.let_through(2);
    assert_eq!(reader.await.unwrap().unwrap().1, Some(2));
    assert_eq!(slow.await.unwrap().unwrap().1, Some(1));
    let (_, seen) = call(&scene.there, &scene.database, "k", Fresh)
        .await
        .unwrap();
    assert_eq!(seen, Some(2));
}

#[tokio::test]
async fn an_older_bypass_is_fenced_by_a_newer_store() {
    let scene = Scene::new();
    scene.database.let_through(1);
    call(&scene.here, &scene.database, "k", Refresh)
        .await
        .unwrap();
    let older = scene.spawn(&scene.here, Bypass);
    scene.database.entered(2).await;
    let (_, seen) = call(&scene.there, &scene.database, "k", Fresh)
        .await
        .unwrap();
    assert_eq!(seen, Some(1), "what was there stays until the store");
    scene.database.set("k", 2);
    let newer = scene.spawn(&scene.there, Bypass);
    scene.database.entered(3).await;
    scene.database.let_through(2);
    let stores = [
        older.await.unwrap().unwrap().0,
        newer.await.unwrap().unwrap().0,
    ]
    .map(|outcome| outcome.store());
    assert_eq!(
        stores
            .iter()
            .filter(|result| **result == StoreResult::Stored)
            .count(),
        1,
        "{stores:?}"
    );
}

#[tokio::test]
async fn a_lease_that_has_expired_stores_nothing() {
    let scene = Scene::new();
    let config = super::config(&scene.server.url())
        .set(|encoded| encoded.with_lease_lifetime(std::time::Duration::from_millis(20)));
    let backend = cache_kit::backend::RedisBackend::new(config).unwrap();
    let short = Service::new(backend);
    let slow = scene.spawn(&short, Refresh);
    scene.database.entered(1).await;
    cache_kit_tests::servers::eventually_async(
        "the placeholder expires",
        std::time::Duration::from_secs(10),
        || scene.server.command(&["EXISTS", "row:k"]).integer() == Some(0),
    )
    .await;
    scene.database.let_through(1);
    let (outcome, seen) = slow.await.unwrap().unwrap();
    assert_eq!((outcome.store(), seen), (StoreResult::Fenced, Some(1)));
}

#[tokio::test]
async fn a_load_that_nobody_waits_for_leaves_no_placeholder() {
    for strategy in [Refresh, Invalidate] {
        let scene = Scene::new();
        let exists = || scene.server.command(&["EXISTS", "row:k"]).integer() == Some(1);
        let slow = scene.slow(strategy).await;
        assert!(exists());
        slow.abort();
        let gone = std::time::Duration::from_secs(5);
        cache_kit_tests::servers::eventually_async("it is released", gone, || !exists()).await;
    }
}
