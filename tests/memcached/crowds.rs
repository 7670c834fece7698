//! Batches, many callers, and distant servers: waiting for each other is no failure.

use std::time::Duration;

use cache_kit::CacheStrategy::Refresh;
use cache_kit::backend::MemcachedBackend;
use cache_kit::observability::StoreResult;
use cache_kit::{CacheExpander, CacheService, InMemoryRepository, Outcome, SharedFeeder};
use cache_kit_tests::servers::{MemcachedServer, Proxy, Server};
use cache_kit_tests::{Gated, Row};
use tokio::sync::{mpsc, watch};

use super::far::Far;
use super::{PATIENCE, Service, call, config, is_hit};

/// Four times the default deadline; distances are four times as long, too.
const DEADLINE: Duration = Duration::from_secs(2);

fn service_at(wire: &Far) -> Service {
    let config = config(&wire.url()).set(|encoded| encoded.with_operation_deadline(DEADLINE));
    CacheService::new(MemcachedBackend::new(config).unwrap())
}

/// A service that waits for a connection, and for an answer, as long as a test does, and whose leases last as
/// long: a machine that is busy is no reason to open another connection, or to store nothing.
fn patient(url: &str) -> Service {
    let backend =
        MemcachedServer::patient_backend(url, |encoded| encoded.with_lease_lifetime(PATIENCE));
    CacheExpander::new(backend.unwrap())
        .with_lease_wait(PATIENCE)
        .into()
}

async fn read_all(
    service: &Service,
    rows: &InMemoryRepository<Row>,
    ids: &[String],
) -> Vec<Outcome> {
    let mut feeders: Vec<_> = ids
        .iter()
        .map(|id| SharedFeeder::<Row>::new(id.clone()))
        .collect();
    let outcomes = service
        .execute_many(&mut feeders, rows, Refresh)
        .await
        .unwrap();
    outcomes.into_iter().collect()
}

fn rows(ids: &[String]) -> InMemoryRepository<Row> {
    let rows = InMemoryRepository::new();
    for id in ids {
        rows.insert(id.clone(), cache_kit_tests::row(id, 1));
    }
    rows
}

fn ids(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{name}:{n}")).collect()
}

fn all_stored(outcomes: &[Outcome]) {
    let stored =
        |outcome: &&Outcome| outcome.store() == StoreResult::Stored && !outcome.degraded().any();
    let count = outcomes.iter().filter(stored).count();
    let other = outcomes.iter().find(|outcome| !stored(outcome));
    assert_eq!(count, outcomes.len(), "{other:?}");
}

#[tokio::test]
async fn one_batch_of_a_thousand_misses_is_stored_by_a_server_that_is_far_away() {
    let server = MemcachedServer::start();
    let wire = Far::away(&server, Duration::from_millis(40)).await;
    let service = service_at(&wire);
    let ids = ids("k", 1_000);
    let outcomes = read_all(&service, &rows(&ids), &ids).await;
    assert_eq!(outcomes.len(), 1_000);
    all_stored(&outcomes);
    let health = service.backend().health();
    assert!(
        health.available && health.last_error.is_none(),
        "{health:?}"
    );
    let done = service.invalidate::<Row>(&ids[0]).await.unwrap();
    assert_eq!(done, cache_kit::backend::Invalidated::Done);
}

#[tokio::test]
async fn four_batches_at_once_are_stored_and_hold_up_no_stranger() {
    let server = MemcachedServer::start();
    let wire = Far::away(&server, Duration::from_millis(4)).await;
    let service = service_at(&wire);
    let database = Gated::open();
    database.set("k", 1);
    call(&service, &database, "k", Refresh).await.unwrap();
    let mut batches = tokio::task::JoinSet::new();
    for name in ["a", "b", "c", "d"] {
        let service = service.clone();
        batches.spawn(async move {
            let ids = ids(name, 1_000);
            read_all(&service, &rows(&ids), &ids).await
        });
    }
    let stranger = {
        let (service, database) = (service.clone(), database.clone());
        tokio::spawn(async move {
            for _ in 0..50 {
                assert!(is_hit(&service, &database, "k").await);
            }
        })
    };
    while let Some(outcomes) = batches.join_next().await {
        all_stored(&outcomes.unwrap());
    }
    stranger.await.unwrap();
    let health = service.backend().health();
    assert!(
        health.available && health.last_error.is_none(),
        "{health:?}"
    );
}

#[tokio::test]
async fn a_thousand_callers_share_a_few_connections() {
    let server = MemcachedServer::start();
    let wire = Proxy::in_front_of_memcached(server.addr());
    let service = patient(&server.url_through(&wire));
    let mut callers = tokio::task::JoinSet::new();
    let database = Gated::open();
    for n in 0..1_000 {
        let (service, database) = (service.clone(), database.clone());
        let id = n.to_string();
        database.set(&id, 1);
        callers.spawn(async move {
            let outcome = call(&service, &database, &id, Refresh).await.unwrap().0;
            assert_eq!(outcome.store(), StoreResult::Stored, "{outcome:?}");
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    assert!((1..=4).contains(&wire.accepted()), "{}", wire.accepted());
}

/// A runtime of one thread, as Actix has one for each of its workers.
fn worker<O: Send + 'static>(
    work: impl Future<Output = O> + Send + 'static,
) -> std::thread::JoinHandle<O> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(work)
    })
}

#[test]
fn every_runtime_has_one_connection_and_it_ends_with_its_runtime() {
    const RUNTIMES: usize = 24;
    let server = MemcachedServer::start();
    let wire = Proxy::in_front_of_memcached(server.addr());
    let service = patient(&server.url_through(&wire));
    let (done, mut finished) = mpsc::unbounded_channel();
    let (release, released) = watch::channel(());
    let workers: Vec<_> = (0..RUNTIMES)
        .map(|worker_number| {
            let (service, done, mut released) = (service.clone(), done.clone(), released.clone());
            worker(async move {
                let database = Gated::open();
                for n in 0..100 {
                    let id = format!("{worker_number}:{n}");
                    database.set(&id, 1);
                    let outcome = call(&service, &database, &id, Refresh).await.unwrap().0;
                    assert_eq!(outcome.store(), StoreResult::Stored, "{outcome:?}");
                    assert!(is_hit(&service, &database, &id).await);
                }
                done.send(()).unwrap();
                drop(done);
                released.changed().await.unwrap_err();
            })
        })
        .collect();
    drop(done);
    // A worker that panics sends nothing, and its `join` below reports it.
    while finished.blocking_recv().is_some() {}
    let (accepted, open) = (wire.accepted(), wire.connections());
    drop(release);
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!((accepted, open), (RUNTIMES, RUNTIMES));
    // The service is still there, and its connections are gone.
    cache_kit_tests::servers::eventually("the sockets are closed", PATIENCE, || {
        wire.connections() == 0
    });
    drop(service);
}
