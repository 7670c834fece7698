//! No stale write after an invalidation, between two processes that share a server.

use std::time::Duration;

use cache_kit::CacheStrategy::{self, Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::Invalidated;
use cache_kit::observability::StoreResult;
use cache_kit::{CacheService, Source};
use cache_kit_tests::calls::{Answer, PATIENCE, call, is_hit, service, spawn};
use cache_kit_tests::servers::{Server, Trick, eventually_async};
use cache_kit_tests::{Gated, Row};
use tokio::task::JoinHandle;

/// Two processes on one server, and a database whose loads wait at a gate.
struct Scene<S: Server> {
    server: S,
    here: CacheService<S::Backend>,
    there: CacheService<S::Backend>,
    database: Gated,
}

impl<S: Server> Scene<S> {
    fn new() -> Self {
        let server = S::start();
        let database = Gated::closed();
        database.set("k", 1);
        Self {
            here: service::<S>(&server.url()),
            there: service::<S>(&server.url()),
            server,
            database,
        }
    }

    fn here(&self, strategy: CacheStrategy) -> JoinHandle<Answer> {
        spawn(&self.here, &self.database, "k", strategy)
    }

    fn there(&self, strategy: CacheStrategy) -> JoinHandle<Answer> {
        spawn(&self.there, &self.database, "k", strategy)
    }

    /// A call that has read version 1 and waits with it at the gate; the row is in version 2.
    async fn slow(&self, strategy: CacheStrategy) -> JoinHandle<Answer> {
        let slow = self.here(strategy);
        self.database.entered(1).await;
        self.database.set("k", 2);
        slow
    }

    async fn invalidate_there(&self) {
        let done = self.there.invalidate::<Row>(&"k".to_owned()).await.unwrap();
        assert_eq!(done, Invalidated::Done);
    }

    /// Lets the slow load go on; its row must not be stored, and the processes find `left`.
    async fn is_fenced(&self, by: &str, slow: JoinHandle<Answer>, left: Option<u64>) {
        self.database.let_through(1);
        let (outcome, seen) = slow.await.unwrap().unwrap();
        let fenced = (StoreResult::Fenced, Some(1));
        assert_eq!((outcome.store(), seen), fenced, "{by}");
        for service in [&self.here, &self.there] {
            let (_, seen) = call(service, &self.database, "k", Fresh).await.unwrap();
            assert_eq!(seen, left, "{by}");
        }
    }

    /// The next load is stored, and the other process finds it.
    async fn can_be_filled(&self) {
        self.database.let_through(1);
        let (outcome, seen) = call(&self.here, &self.database, "k", Refresh)
            .await
            .unwrap();
        assert_eq!((outcome.store(), seen), (StoreResult::Stored, Some(2)));
        assert!(is_hit(&self.there, &self.database, "k").await);
    }
}

pub async fn a_slow_load_never_undoes_an_invalidation_elsewhere<S: Server>() {
    for strategy in [Refresh, Bypass, Invalidate] {
        let scene = Scene::<S>::new();
        let slow = scene.slow(strategy).await;
        scene.invalidate_there().await;
        let by = format!("an invalidation during {strategy}");
        scene.is_fenced(&by, slow, None).await;
        scene.can_be_filled().await;
    }
}

pub async fn nor_an_invalidation_with_a_load<S: Server>() {
    let scene = Scene::<S>::new();
    let slow = scene.slow(Refresh).await;
    let invalidate = scene.there(Invalidate);
    scene.database.entered(2).await;
    let (outcome, seen) = call(&scene.here, &scene.database, "k", Fresh)
        .await
        .unwrap();
    assert_eq!((outcome.source(), seen), (Source::Nothing, None));
    // The newer load ends first, or last; the older one is fenced either way.
    scene.database.let_through(2);
    let (outcome, seen) = invalidate.await.unwrap().unwrap();
    assert_eq!((outcome.store(), seen), (StoreResult::Stored, Some(2)));
    scene.is_fenced("a newer load", slow, Some(2)).await;
}

/// What another client does, and its name.
type ByHand<S> = (&'static str, fn(&S));

pub async fn nor_what_any_client_does_to_the_key<S: Server>() {
    let by_hand: [ByHand<S>; 6] = [
        ("a delete", |server| server.delete("row:k")),
        ("a flush", |server| server.flush()),
        ("a foreign value", |server| server.put("row:k", b"foreign")),
        ("an empty value", |server| server.put("row:k", b"")),
        ("a long value", |server| server.put("row:k", &[b'x'; 200])),
        ("an append", |server| server.append("row:k", b"x")),
    ];
    for (what, act) in by_hand {
        let scene = Scene::<S>::new();
        let slow = scene.slow(Refresh).await;
        act(&scene.server);
        scene.is_fenced(what, slow, None).await;
        scene.can_be_filled().await;
    }
}

pub async fn a_reader_after_the_invalidation_never_joins_the_older_load<S: Server>() {
    let scene = Scene::<S>::new();
    let slow = scene.slow(Refresh).await;
    scene.invalidate_there().await;
    let reader = scene.here(Refresh);
    scene.database.entered(2).await;
    scene.database.let_through(2);
    assert_eq!(reader.await.unwrap().unwrap().1, Some(2));
    assert_eq!(slow.await.unwrap().unwrap().1, Some(1));
    let (_, seen) = call(&scene.there, &scene.database, "k", Fresh)
        .await
        .unwrap();
    assert_eq!(seen, Some(2));
}

pub async fn an_older_bypass_is_fenced_by_a_newer_store<S: Server>() {
    let scene = Scene::<S>::new();
    scene.database.let_through(1);
    call(&scene.here, &scene.database, "k", Refresh)
        .await
        .unwrap();
    let older = scene.here(Bypass);
    scene.database.entered(2).await;
    let (_, seen) = call(&scene.there, &scene.database, "k", Fresh)
        .await
        .unwrap();
    assert_eq!(seen, Some(1), "what was there stays until the store");
    scene.database.set("k", 2);
    let newer = scene.there(Bypass);
    scene.database.entered(3).await;
    scene.database.let_through(2);
    let stores = [
        older.await.unwrap().unwrap().0,
        newer.await.unwrap().unwrap().0,
    ]
    .map(|outcome| outcome.store());
    let stored = stores.iter().filter(|store| **store == StoreResult::Stored);
    assert_eq!(stored.count(), 1, "{stores:?}");
}

pub async fn another_process_waits_for_a_load_that_is_under_way<S: Server>() {
    let scene = Scene::<S>::new();
    let proxy = scene.server.proxy();
    let there = service::<S>(&scene.server.url_through(&proxy));
    let first = scene.here(Refresh);
    scene.database.entered(1).await;
    let second = spawn(&there, &scene.database, "k", Refresh);
    // The second one has seen the first one's lease when it looks again.
    let looks = [(); 2].map(|()| {
        let at_once = Trick::DelayAnswer(Duration::ZERO);
        proxy.on_next(S::COMMANDS.get.1, at_once)
    });
    eventually_async("the second process polls", PATIENCE, || {
        looks.iter().all(|look| look.has_sprung())
    })
    .await;
    scene.database.let_through(1);
    let (outcome, seen) = first.await.unwrap().unwrap();
    assert_eq!((outcome.source(), seen), (Source::Repository, Some(1)));
    let (outcome, seen) = second.await.unwrap().unwrap();
    assert_eq!((outcome.source(), seen), (Source::Cache, Some(1)));
    assert_eq!(scene.database.loads(), 1);
}

pub async fn a_lease_that_has_expired_stores_nothing<S: Server>() {
    let scene = Scene::<S>::new();
    let backend = S::backend(&scene.server.url(), |encoded| {
        encoded.with_lease_lifetime(Duration::from_millis(20))
    });
    let short = CacheService::new(backend.unwrap());
    let slow = spawn(&short, &scene.database, "k", Refresh);
    scene.database.entered(1).await;
    eventually_async("the placeholder expires", PATIENCE, || {
        scene.server.value("row:k").is_none()
    })
    .await;
    scene.database.let_through(1);
    let (outcome, seen) = slow.await.unwrap().unwrap();
    assert_eq!((outcome.store(), seen), (StoreResult::Fenced, Some(1)));
}

pub async fn a_load_whose_caller_goes_away_leaves_no_placeholder<S: Server>() {
    for strategy in [Refresh, Invalidate] {
        let scene = Scene::<S>::new();
        let slow = scene.slow(strategy).await;
        assert!(scene.server.value("row:k").is_some());
        slow.abort();
        // Long before it expires.
        eventually_async("it is released", Duration::from_secs(5), || {
            scene.server.value("row:k").is_none()
        })
        .await;
    }
}

pub async fn a_row_that_does_not_exist_leaves_nothing_and_waits_for_nothing<S: Server>() {
    let server = S::start();
    let database = Gated::open();
    let (here, there) = (service::<S>(&server.url()), service::<S>(&server.url()));
    for _ in 0..100 {
        for service in [&here, &there] {
            let (outcome, seen) = call(service, &database, "absent", Refresh).await.unwrap();
            assert_eq!((outcome.source(), seen), (Source::Repository, None));
        }
    }
    assert_eq!(server.value("row:absent"), None);
    assert_eq!(database.loads(), 200);
}
