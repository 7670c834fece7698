//! Servers that are dead, die, hang, all disappear, and come back.

use std::time::{Duration, Instant};

use cache_kit::CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::{CacheBackend, Invalidated, MemcachedBackend};
use cache_kit::{CacheService, ErrorKind, Source};
use cache_kit_tests::servers::{MemcachedServer, eventually_async};
use cache_kit_tests::{Gated, Row};

use super::{Service, call, config, scene, service_by_default as service};

/// The cache does not help, and only costs time.
async fn answers_from_the_repository(service: &Service, database: &Gated) {
    for strategy in [Refresh, Bypass] {
        let (outcome, seen) = call(service, database, "k", strategy).await.unwrap();
        assert_eq!(outcome.source(), Source::Repository, "{strategy}");
        assert!(
            seen.is_some() && outcome.degraded().any(),
            "{strategy}: {outcome:?}"
        );
    }
    let (outcome, seen) = call(service, database, "k", Invalidate).await.unwrap();
    assert!(
        seen.is_some() && outcome.degraded().invalidation_pending,
        "{outcome:?}"
    );
    let error = call(service, database, "k", Fresh).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Backend | ErrorKind::Timeout),
        "{error}"
    );
}

/// The cache serves row `id` again, in `version` and nothing older.
async fn serves_again(service: &Service, database: &Gated, id: &str, version: u64) {
    // A few hundred milliseconds on an idle machine.
    let limit = Duration::from_secs(20);
    let back = Instant::now();
    loop {
        // Never an error: the repository is up.
        let (outcome, seen) = call(service, database, id, Refresh).await.unwrap();
        assert_eq!(seen, Some(version), "an invalidated value came back");
        if outcome.is_hit() {
            break;
        }
        assert!(back.elapsed() < limit, "{:?}", service.backend().health());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn dead_from_the_start_then_there() {
    let (server, database) = scene();
    server.kill();
    let service = service(&server.url());
    answers_from_the_repository(&service, &database).await;
    assert_eq!(service.backend().health().pending_invalidations, 1);
    database.set("k", 2);
    server.restart();
    serves_again(&service, &database, "k", 2).await;
    assert_eq!(service.backend().health().pending_invalidations, 0);
}

#[tokio::test]
async fn killed_in_the_middle_and_back() {
    let (server, database) = scene();
    let service = service(&server.url());
    call(&service, &database, "k", Refresh).await.unwrap();
    server.kill();
    answers_from_the_repository(&service, &database).await;
    let error = call(&service, &database, "k", Fresh).await.unwrap_err();
    assert!(error.is_retryable());
    database.set("k", 2);
    server.restart();
    serves_again(&service, &database, "k", 2).await;
}

#[tokio::test]
async fn restarted_between_two_calls_costs_nobody_an_error() {
    let (server, database) = scene();
    let service = service(&server.url());
    for _ in 0..20 {
        call(&service, &database, "k", Refresh).await.unwrap();
        server.restart();
        let (outcome, _) = call(&service, &database, "k", Fresh).await.unwrap();
        assert_eq!(outcome.source(), Source::Nothing, "{outcome:?}");
    }
    let done = service.invalidate::<Row>(&"k".to_owned()).await.unwrap();
    assert_eq!(done, Invalidated::Done);
}

#[tokio::test]
async fn stopped_and_continued_with_an_invalidation_in_between() {
    let (server, database) = scene();
    let (service, other) = (service(&server.url()), service(&server.url()));
    call(&service, &database, "k", Refresh).await.unwrap();
    call(&other, &database, "k", Refresh).await.unwrap();
    server.stop();
    database.set("k", 2);
    let done = service.invalidate::<Row>(&"k".to_owned()).await.unwrap();
    assert_eq!(done, Invalidated::Pending);
    let (outcome, seen) = call(&service, &database, "k", Refresh).await.unwrap();
    assert_eq!((outcome.source(), seen), (Source::Repository, Some(2)));
    server.cont();
    serves_again(&service, &database, "k", 2).await;
    let (_, seen) = call(&other, &database, "k", Refresh).await.unwrap();
    assert_eq!(seen, Some(2));
}

#[tokio::test]
async fn two_hundred_reads_of_a_dead_server_cost_little_time() {
    let (server, database) = scene();
    server.kill();
    let service = service(&server.url());
    let begun = Instant::now();
    for _ in 0..200 {
        let (_, seen) = call(&service, &database, "k", Refresh).await.unwrap();
        assert_eq!(seen, Some(1));
    }
    let passed = begun.elapsed();
    assert!(passed < Duration::from_secs(2), "{passed:?}");
}

#[tokio::test]
async fn a_thousand_readers_of_a_dead_server_make_one_load() {
    let server = MemcachedServer::start();
    server.kill();
    let database = Gated::closed();
    database.set("k", 1);
    let service = service(&server.url());
    let readers: Vec<_> = (0..1_000)
        .map(|_| {
            let (service, database) = (service.clone(), database.clone());
            tokio::spawn(async move { call(&service, &database, "k", Refresh).await })
        })
        .collect();
    database.entered(1).await;
    // All have found the server dead by then, and joined the load.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    database.let_through(1);
    for reader in readers {
        let (outcome, seen) = reader.await.unwrap().unwrap();
        assert!(seen == Some(1) && outcome.degraded().read);
    }
    assert_eq!(database.loads(), 1);
}

#[tokio::test]
async fn a_queue_that_is_full_is_an_error_and_not_silence() {
    let (server, database) = scene();
    server.kill();
    let config = config(&server.url()).set(|encoded| encoded.with_pending_invalidations(2));
    let service = CacheService::new(MemcachedBackend::new(config).unwrap());
    for n in 0..2 {
        let pending = service.invalidate::<Row>(&n.to_string()).await.unwrap();
        assert_eq!(pending, Invalidated::Pending);
    }
    let error = service
        .invalidate::<Row>(&"3".to_owned())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no room to queue"), "{error}");
    assert!(call(&service, &database, "k", Invalidate).await.is_err());
}

/// Three servers, and thirty rows in version 1 that a service has read, so that they are cached.
struct Three {
    servers: Vec<MemcachedServer>,
    service: Service,
    database: Gated,
    ids: Vec<String>,
}

impl Three {
    async fn new() -> Self {
        let servers: Vec<_> = (0..3).map(|_| MemcachedServer::start()).collect();
        let three = Self {
            service: service(&MemcachedServer::url_of(&servers)),
            servers,
            database: Gated::open(),
            ids: (0..30).map(|n| n.to_string()).collect(),
        };
        for id in &three.ids {
            three.database.set(id, 1);
            call(&three.service, &three.database, id, Refresh)
                .await
                .unwrap();
        }
        three
    }

    /// The place of the server that keeps a row.
    fn server_of(&self, id: &str) -> usize {
        let store = self
            .service
            .backend()
            .server_of(&format!("row:{id}"))
            .byte_store();
        let of = |server: &MemcachedServer| server.name() == store.server();
        self.servers.iter().position(of).unwrap()
    }

    fn kept_by(&self, server: usize) -> impl Iterator<Item = &str> {
        let ids = self.ids.iter().map(String::as_str);
        ids.filter(move |id| self.server_of(id) == server)
    }

    fn others_than(&self, server: usize) -> impl Iterator<Item = &str> {
        let ids = self.ids.iter().map(String::as_str);
        ids.filter(move |id| self.server_of(id) != server)
    }
}

#[tokio::test]
async fn one_of_three_stops_and_only_its_keys_are_loaded_uncached() {
    let three = Three::new().await;
    let (service, database) = (&three.service, &three.database);
    three.servers[1].stop();
    for id in three.kept_by(1) {
        database.set(id, 2);
        let done = service.invalidate::<Row>(&id.to_owned()).await.unwrap();
        assert_eq!(done, Invalidated::Pending, "{id}");
        let (outcome, seen) = call(service, database, id, Refresh).await.unwrap();
        assert_eq!((outcome.source(), seen), (Source::Repository, Some(2)));
    }
    for id in three.others_than(1) {
        assert!(call(service, database, id, Fresh).await.unwrap().0.is_hit());
        database.set(id, 2);
        let done = service.invalidate::<Row>(&id.to_owned()).await.unwrap();
        assert_eq!(done, Invalidated::Done, "{id}");
        serves_again(service, database, id, 2).await;
    }
    let backend = service.backend();
    assert!(!backend.health().available);
    let healths: Vec<_> = backend
        .servers()
        .iter()
        .map(|server| server.health())
        .collect();
    assert!(healths[0].available && healths[2].available, "{healths:?}");
    let waiting = backend.health().pending_invalidations;
    assert_eq!(waiting, three.kept_by(1).count());
    assert_eq!(healths[1].pending_invalidations, waiting, "{healths:?}");

    three.servers[1].cont();
    for id in three.kept_by(1) {
        serves_again(service, database, id, 2).await;
    }
    assert_eq!(backend.health().pending_invalidations, 0);
}

#[tokio::test]
async fn one_of_three_is_dead_and_spoils_only_its_part_of_a_batch() {
    let three = Three::new().await;
    let backend = three.service.backend();
    three.servers[2].kill();
    let keys: Vec<String> = three.ids.iter().map(|id| format!("row:{id}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let now = cache_kit::clock::Clock::system().now();
    let found = backend.get_many::<Row>(&keys, now).await;
    let done = backend.invalidate_many::<Row>(&keys).await;
    assert_eq!((found.len(), done.len()), (keys.len(), keys.len()));
    for ((id, found), done) in three.ids.iter().zip(found).zip(done) {
        let dead = three.server_of(id) == 2;
        assert_eq!(found.is_err(), dead, "{id}");
        let expected = if dead {
            Invalidated::Pending
        } else {
            Invalidated::Done
        };
        assert_eq!(done.unwrap(), expected, "{id}");
    }
    let waiting = backend.health().pending_invalidations;
    assert_eq!(waiting, three.kept_by(2).count());
    three.servers[2].restart();
    eventually_async("the queue is empty", Duration::from_secs(20), || {
        backend.health().pending_invalidations == 0
    })
    .await;
}

#[tokio::test]
async fn all_are_gone_and_come_back() {
    let three = Three::new().await;
    let (service, database) = (&three.service, &three.database);
    for server in &three.servers {
        server.kill();
    }
    for id in &three.ids {
        database.set(id, 2);
        let done = service.invalidate::<Row>(id).await.unwrap();
        assert_eq!(done, Invalidated::Pending, "{id}");
        let (outcome, seen) = call(service, database, id, Refresh).await.unwrap();
        assert_eq!((outcome.source(), seen), (Source::Repository, Some(2)));
    }
    for server in &three.servers {
        server.restart();
    }
    for id in &three.ids {
        serves_again(service, database, id, 2).await;
    }
    assert_eq!(service.backend().health().pending_invalidations, 0);
}

#[tokio::test]
async fn an_invalidation_in_vain_fences_the_loads_of_this_process() {
    let (server, _) = scene();
    let database = Gated::closed();
    database.set("k", 1);
    let service = service(&server.url());
    let slow = {
        let (service, database) = (service.clone(), database.clone());
        tokio::spawn(async move { call(&service, &database, "k", Refresh).await })
    };
    database.entered(1).await;
    server.stop();
    database.set("k", 2);
    let pending = service.invalidate::<Row>(&"k".to_owned()).await.unwrap();
    assert_eq!(pending, Invalidated::Pending);
    server.cont();
    database.let_through(1);
    let (outcome, _) = slow.await.unwrap().unwrap();
    assert_ne!(
        outcome.store(),
        cache_kit::observability::StoreResult::Stored
    );
    database.let_through(1_000);
    serves_again(&service, &database, "k", 2).await;
}
