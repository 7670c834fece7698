//! A server that is dead, dies, restarts or hangs, and comes back.

use std::time::{Duration, Instant};

use cache_kit::CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::{AnyBackend, Invalidated, NodeRole};
use cache_kit::observability::StoreResult;
use cache_kit::{CacheService, Error, SharedFeeder, Source};
use cache_kit_tests::calls::{
    answers_from_the_repository, call, is_hit, scene, serves_again, service as patient,
    service_by_default as service, spawn,
};
use cache_kit_tests::servers::{Server, eventually_async};
use cache_kit_tests::{Gated, Row};
use tokio::task::JoinSet;

/// The cache serves version 2 of row `k` again, and the queue is empty.
async fn is_back<S: Server>(service: &CacheService<S::Backend>, database: &Gated) {
    serves_again::<S>(service, database, "k", 2).await;
    assert_eq!(S::health(service).pending_invalidations, 0);
}

pub async fn dead_from_the_start_then_there<S: Server>() {
    let (server, database) = scene::<S>();
    server.kill();
    let service = service::<S>(&server.url());
    answers_from_the_repository(&service, &database).await;
    assert_eq!(S::health(&service).pending_invalidations, 1);
    database.set("k", 2);
    server.restart();
    is_back::<S>(&service, &database).await;
}

pub async fn killed_in_the_middle_and_back<S: Server>() {
    let (server, database) = scene::<S>();
    let service = service::<S>(&server.url());
    call(&service, &database, "k", Refresh).await.unwrap();
    server.kill();
    answers_from_the_repository(&service, &database).await;
    let error = call(&service, &database, "k", Fresh).await.unwrap_err();
    assert!(error.is_retryable());
    database.set("k", 2);
    server.restart();
    is_back::<S>(&service, &database).await;
}

pub async fn restarted_between_two_calls_it_costs_no_error<S: Server>() {
    let (server, database) = scene::<S>();
    let service = service::<S>(&server.url());
    for _ in 0..20 {
        call(&service, &database, "k", Refresh).await.unwrap();
        server.restart();
        let (outcome, _) = call(&service, &database, "k", Fresh).await.unwrap();
        assert_eq!(outcome.source(), Source::Nothing, "{outcome:?}");
    }
    let done = service.invalidate::<Row>(&"k".to_owned()).await.unwrap();
    assert_eq!(done, Invalidated::Done);
}

/// The connection ends between any two calls, without an effect on the calls.
pub async fn a_connection_that_is_cut_between_two_calls_costs_nothing<S: Server>() {
    let server = S::start();
    let proxy = server.proxy();
    let database = Gated::open();
    let ids = ["k", "l", "m"].map(str::to_owned);
    ids.iter().for_each(|id| database.set(id, 1));
    let service = patient::<S>(&server.url_through(&proxy));
    call(&service, &database, "k", Refresh).await.unwrap();
    for round in 0..5 {
        for strategy in [Refresh, Bypass, Invalidate, Fresh] {
            proxy.cut();
            let (outcome, seen) = call(&service, &database, "k", strategy).await.unwrap();
            assert!(
                seen == Some(1) && !outcome.degraded().any(),
                "{round}, {strategy}: {outcome:?}"
            );
        }
        proxy.cut();
        let mut feeders = ids.clone().map(SharedFeeder::<Row>::new);
        let outcomes = service.execute_many(&mut feeders, &database, Refresh);
        for outcome in outcomes.await.unwrap() {
            assert!(!outcome.degraded().any(), "{round}: {outcome:?}");
        }
        proxy.cut();
        let done = service.invalidate::<Row>(&ids[0]).await.unwrap();
        assert_eq!(done, Invalidated::Done, "{round}");
        proxy.cut();
        let done = service.invalidate_many::<Row>(&ids).await.unwrap();
        assert_eq!(done, Invalidated::Done, "{round}");
    }
    let health = S::health(&service);
    assert!(health.available && health.pending_invalidations == 0);
}

pub async fn stopped_and_continued_with_an_invalidation_in_between<S: Server>() {
    let (server, database) = scene::<S>();
    let (service, other) = (service::<S>(&server.url()), service::<S>(&server.url()));
    call(&service, &database, "k", Refresh).await.unwrap();
    call(&other, &database, "k", Refresh).await.unwrap();
    server.stop();
    database.set("k", 2);
    let done = service.invalidate::<Row>(&"k".to_owned()).await.unwrap();
    assert_eq!(done, Invalidated::Pending);
    let (outcome, seen) = call(&service, &database, "k", Refresh).await.unwrap();
    assert_eq!((outcome.source(), seen), (Source::Repository, Some(2)));
    server.cont();
    is_back::<S>(&service, &database).await;
    let (_, seen) = call(&other, &database, "k", Refresh).await.unwrap();
    assert_eq!(seen, Some(2));
}

pub async fn stopped_for_ten_seconds_no_call_waits_longer_than_its_deadlines<S: Server>() {
    const STOP: Duration = Duration::from_secs(10);
    let (server, database) = scene::<S>();
    let (service, other) = (service::<S>(&server.url()), service::<S>(&server.url()));
    call(&service, &database, "k", Refresh).await.unwrap();
    call(&other, &database, "k", Refresh).await.unwrap();
    server.stop();
    let stopped = Instant::now();
    let mut row = 1;
    while stopped.elapsed() < STOP {
        row += 1;
        database.set("k", row);
        // A look-up, a lease and an invalidation, each of 500 ms, on a machine that is busy.
        let answers = tokio::time::timeout(Duration::from_secs(5), async {
            let done = service.invalidate::<Row>(&"k".to_owned()).await.unwrap();
            assert_eq!(done, Invalidated::Pending);
            for strategy in [Refresh, Bypass, Invalidate] {
                let (_, seen) = call(&service, &database, "k", strategy).await.unwrap();
                assert_eq!(seen, Some(row), "{strategy}");
            }
        });
        answers.await.expect("an answer within the deadlines");
    }
    database.set("k", 2);
    let done = service.invalidate::<Row>(&"k".to_owned()).await.unwrap();
    assert_eq!(done, Invalidated::Pending);
    server.cont();
    is_back::<S>(&service, &database).await;
    let (_, seen) = call(&other, &database, "k", Refresh).await.unwrap();
    assert_eq!(seen, Some(2));
}

pub async fn many_calls_that_are_dropped_together_cost_no_connection<S: Server>() {
    let (server, database) = scene::<S>();
    let proxy = server.proxy();
    let service = patient::<S>(&server.url_through(&proxy));
    call(&service, &database, "k", Refresh).await.unwrap();
    server.stop();
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let (service, database) = (service.clone(), database.clone());
        calls.spawn(async move { call(&service, &database, "k", Fresh).await.is_ok() });
    }
    // Every task has sent its command when all have been polled.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    calls.shutdown().await;
    server.cont();
    for _ in 0..10 {
        let (outcome, _) = call(&service, &database, "k", Refresh).await.unwrap();
        assert!(outcome.is_hit());
    }
    // None has ended, and none was made in place of another.
    let (made, open) = (proxy.accepted(), proxy.connections());
    assert!(made == open && made <= S::CONNECTIONS, "{made}, {open}");
}

pub async fn two_hundred_reads_of_a_dead_server_make_few_attempts<S: Server>() {
    let (server, database) = scene::<S>();
    server.kill();
    let proxy = server.proxy();
    let service = service::<S>(&server.url_through(&proxy));
    for _ in 0..200 {
        let (_, seen) = call(&service, &database, "k", Refresh).await.unwrap();
        assert_eq!(seen, Some(1));
    }
    // Five until the breaker opens, each sent twice, and some probes since.
    let attempts = proxy.accepted();
    assert!((1..50).contains(&attempts), "{attempts}");
}

pub async fn a_thousand_readers_of_a_dead_server_make_one_load<S: Server>() {
    let server = S::start();
    server.kill();
    let database = Gated::closed();
    database.set("k", 1);
    let service = service::<S>(&server.url());
    let readers: Vec<_> = (0..1_000)
        .map(|_| spawn(&service, &database, "k", Refresh))
        .collect();
    database.entered(1).await;
    // All have found the server dead by then, and joined the load.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(database.loads(), 1);
    database.let_through(1);
    for reader in readers {
        let (outcome, seen) = reader.await.unwrap().unwrap();
        assert!(seen == Some(1) && outcome.degraded().read);
    }
    assert_eq!(database.loads(), 1);
}

pub async fn a_queue_that_is_full_is_an_error_and_not_silence<S: Server>() {
    let (server, database) = scene::<S>();
    server.kill();
    let backend = S::backend(&server.url(), |encoded| {
        encoded.with_pending_invalidations(2)
    });
    let service = CacheService::new(backend.unwrap());
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

pub async fn a_failed_invalidation_fences_the_loads_of_this_process<S: Server>() {
    let server = S::start();
    let database = Gated::closed();
    database.set("k", 1);
    let service = service::<S>(&server.url());
    let slow = spawn(&service, &database, "k", Refresh);
    database.entered(1).await;
    server.stop();
    database.set("k", 2);
    let pending = service.invalidate::<Row>(&"k".to_owned()).await.unwrap();
    assert_eq!(pending, Invalidated::Pending);
    server.cont();
    database.let_through(1);
    let (outcome, _) = slow.await.unwrap().unwrap();
    assert_ne!(outcome.store(), StoreResult::Stored);
    eventually_async("the queue is empty", Duration::from_secs(20), || {
        S::health(&service).pending_invalidations == 0
    })
    .await;
    database.let_through(1_000);
    serves_again::<S>(&service, &database, "k", 2).await;
    assert!(is_hit(&service, &database, "k").await);
}

/// Also after failures, which it neither waits for nor counts.
pub async fn a_ping_asks_the_server_now<S: Server>() {
    let server = S::start();
    // Four times the default, for a busy machine. One ping below takes all of it.
    let deadline = Duration::from_secs(2);
    let backend = S::backend(&server.url(), |encoded| {
        encoded.with_operation_deadline(deadline)
    });
    let backend = backend.unwrap();
    // The backend, what wraps it, and the service over each are asked alike.
    let service = CacheService::new(backend.clone());
    let backend: AnyBackend = backend.into();
    let any = CacheService::new(backend.clone());
    backend.ping().await.unwrap();
    any.ping().await.unwrap();
    service.ping().await.unwrap();
    server.kill();
    for _ in 0..20 {
        let error = backend.ping().await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
    }
    any.ping().await.unwrap_err();
    service.ping().await.unwrap_err();
    for health in [backend.health(), any.health(), service.health()] {
        let well = health.available && health.last_error.is_none();
        assert!(well && health.nodes.len() == 1, "{health:?}");
    }
    server.restart();
    backend.ping().await.unwrap();

    server.stop();
    let error = backend.ping().await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    server.cont();
    let back = async { while backend.ping().await.is_err() {} };
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, back)
        .await
        .expect("it answers again");
}

pub async fn health_names_the_servers_and_what_they_do<S: Server>() {
    let servers: Vec<S> = (0..S::SERVERS).map(|_| S::start()).collect();
    let url = S::url_of(&servers);
    let service = service::<S>(&url);
    let database = Gated::open();
    database.set("k", 1);
    call(&service, &database, "k", Refresh).await.unwrap();
    let health = S::health(&service);
    assert_eq!(health.nodes.len(), S::SERVERS, "{health:?}");
    for node in &health.nodes {
        assert!(url.contains(&node.name), "{node:?} of {url}");
        assert!(node.available && node.role == NodeRole::Primary, "{node:?}");
        assert_eq!((node.pending_invalidations, &node.last_error), (0, &None));
    }
    for server in &servers {
        server.kill();
    }
    answers_from_the_repository(&service, &database).await;
    let health = S::health(&service);
    let waiting = health.nodes.iter().map(|node| node.pending_invalidations);
    assert_eq!(waiting.sum::<usize>(), 1, "{health:?}");
    let failed = health.nodes.iter().filter(|node| node.last_error.is_some());
    assert_eq!(failed.count(), 1, "the server of the key: {health:?}");
}
