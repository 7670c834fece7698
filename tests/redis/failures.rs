//! A server that is dead, dies, hangs, is full, refuses, or has become a replica.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cache_kit::CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::{Invalidated, RedisBackend};
use cache_kit::observability::StoreResult;
use cache_kit::{CacheService, ErrorKind, Source};
use cache_kit_tests::servers::{RedisServer, eventually_async};
use cache_kit_tests::{Gated, Row};
use tokio::task::JoinSet;

use super::{Service, call, config, scene, service as patient, service_by_default as service};

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

/// The cache serves again, without anything that was invalidated meanwhile.
async fn serves_again(service: &Service, database: &Gated) {
    // A few hundred milliseconds on an idle machine.
    let limit = Duration::from_secs(20);
    let back = Instant::now();
    loop {
        if let Ok((outcome, seen)) = call(service, database, "k", Refresh).await {
            assert_eq!(seen, Some(2), "an invalidated value came back");
            if outcome.is_hit() {
                break;
            }
        }
        assert!(back.elapsed() < limit, "{:?}", service.backend().health());
        tokio::task::yield_now().await;
    }
    assert_eq!(service.backend().health().pending_invalidations, 0);
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
    serves_again(&service, &database).await;
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
    serves_again(&service, &database).await;
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
    serves_again(&service, &database).await;
    assert_eq!(
        call(&other, &database, "k", Refresh).await.unwrap().1,
        Some(2)
    );
}

#[tokio::test]
async fn stopped_for_ten_seconds_nobody_waits_longer_than_a_deadline() {
    const STOP: Duration = Duration::from_secs(10);
    let (server, database) = scene();
    let (service, other) = (service(&server.url()), service(&server.url()));
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
    serves_again(&service, &database).await;
    let (_, seen) = call(&other, &database, "k", Refresh).await.unwrap();
    assert_eq!(seen, Some(2));
}

/// The connections to `server`, without the one that asks.
fn connections(server: &RedisServer) -> BTreeSet<String> {
    let list = server.command(&["CLIENT", "LIST"]).text().unwrap();
    list.lines()
        .filter(|line| !line.contains("cmd=client|list"))
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn many_calls_that_are_dropped_together_cost_no_connection() {
    let (server, database) = scene();
    let service = patient(&server.url());
    call(&service, &database, "k", Refresh).await.unwrap();
    let before = connections(&server);
    assert_eq!(before.len(), 1);
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
    assert_eq!(connections(&server), before);
}

#[tokio::test]
async fn two_hundred_reads_of_a_dead_server_cost_little_time() {
    let (server, database) = scene();
    server.kill();
    let service = service(&server.url());
    let begun = Instant::now();
    for _ in 0..200 {
        assert_eq!(
            call(&service, &database, "k", Refresh).await.unwrap().1,
            Some(1)
        );
    }
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_thousand_readers_of_a_dead_server_make_one_load() {
    let server = RedisServer::start();
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
    assert_eq!(database.loads(), 1);
    database.let_through(1);
    for reader in readers {
        let (outcome, seen) = reader.await.unwrap().unwrap();
        assert!(seen == Some(1) && outcome.degraded().read);
    }
    assert_eq!(database.loads(), 1);
}

#[tokio::test]
async fn out_of_memory_deletes_still_work() {
    let database = Gated::open();
    database.set("k", 1);
    let server = RedisServer::start();
    let service = service(&server.url());
    call(&service, &database, "k", Refresh).await.unwrap();
    assert!(server.command(&["CONFIG", "SET", "maxmemory", "1"]).is_ok());
    assert!(
        call(&service, &database, "k", Refresh)
            .await
            .unwrap()
            .0
            .is_hit()
    );
    database.set("k", 2);
    let (outcome, seen) = call(&service, &database, "k", Invalidate).await.unwrap();
    assert_eq!(seen, Some(2));
    assert!(!outcome.degraded().invalidation_pending && outcome.degraded().store);
    assert_eq!(server.command(&["EXISTS", "row:k"]).integer(), Some(0));
    let (outcome, seen) = call(&service, &database, "k", Refresh).await.unwrap();
    assert_eq!((outcome.source(), seen), (Source::Repository, Some(2)));
    assert!(
        service.backend().health().available,
        "it answers, and says no"
    );
    assert!(server.command(&["CONFIG", "SET", "maxmemory", "0"]).is_ok());
    call(&service, &database, "k", Refresh).await.unwrap();
    assert!(
        call(&service, &database, "k", Refresh)
            .await
            .unwrap()
            .0
            .is_hit()
    );
}

#[tokio::test]
async fn a_wrong_password_is_said_and_never_repeated() {
    let database = Gated::open();
    database.set("k", 1);
    let server = RedisServer::options().password("right-horse").start();
    let url = format!("redis://:wrong-battery@127.0.0.1:{}", server.port());
    let service = service(&url);
    answers_from_the_repository(&service, &database).await;
    let error = call(&service, &database, "k", Fresh).await.unwrap_err();
    let said = format!(
        "{error} {error:?} {:?} {service:?}",
        service.backend().health()
    );
    assert!(
        !said.contains("wrong-battery") && !said.contains("right-horse"),
        "{said}"
    );
    let right = super::service(&server.url());
    call(&right, &database, "k", Refresh).await.unwrap();
    assert!(
        call(&right, &database, "k", Refresh)
            .await
            .unwrap()
            .0
            .is_hit()
    );
}

#[tokio::test]
async fn a_master_that_becomes_a_replica_under_the_client_and_a_master_again() {
    let (server, database) = scene();
    let master = RedisServer::start();
    let service = service(&server.url());
    call(&service, &database, "k", Refresh).await.unwrap();
    server.become_replica_of(&master);
    database.set("k", 2);
    let done = service.invalidate::<Row>(&"k".to_owned()).await.unwrap();
    assert_eq!(done, Invalidated::Pending);
    let (_, seen) = call(&service, &database, "k", Refresh).await.unwrap();
    assert_eq!(
        seen,
        Some(2),
        "while it is pending, nothing is served for the key"
    );
    server.become_master();
    serves_again(&service, &database).await;
}

#[tokio::test]
async fn a_queue_that_is_full_is_an_error_and_not_silence() {
    let (server, database) = scene();
    server.kill();
    let config = config(&server.url()).set(|encoded| encoded.with_pending_invalidations(2));
    let service = CacheService::new(RedisBackend::new(config).unwrap());
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

#[tokio::test]
async fn an_invalidation_in_vain_fences_the_loads_of_this_process() {
    let server = RedisServer::start();
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
    assert_ne!(outcome.store(), StoreResult::Stored);
    eventually_async("the queue is empty", Duration::from_secs(10), || {
        service.backend().health().pending_invalidations == 0
    })
    .await;
    database.let_through(10);
    assert_eq!(
        call(&service, &database, "k", Refresh).await.unwrap().1,
        Some(2)
    );
}
