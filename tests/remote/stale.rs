//! Entries that are answered while they are refreshed: by one load, among all processes.

use std::time::Duration;

use cache_kit::backend::CacheBackend;
use cache_kit::observability::TtlPolicy;
use cache_kit::testing::ManualClock;
use cache_kit::{
    CacheExpander, CacheService, CacheStrategy, CachedRepository, FreshnessPolicy, Source,
};
use cache_kit_tests::calls::{call, spawn};
use cache_kit_tests::servers::Server;
use cache_kit_tests::{Gated, Row};
use tokio::task::JoinSet;

const TTL: Duration = Duration::from_secs(60);

/// A service as in a process of its own, and what it keeps fresh for a minute and then answers for
/// another one.
fn process<S: Server>(
    url: &str,
    time: &ManualClock,
    database: &Gated,
) -> (CacheService<S::Backend>, CachedRepository<Row, S::Backend>) {
    let backend = S::patient_backend(url, |encoded| encoded);
    let policy = FreshnessPolicy::default().with_stale_while_revalidate(TTL);
    let expander = CacheExpander::new(backend.unwrap())
        .with_clock(time.clock())
        .with_ttl_policy(TtlPolicy::Fixed(TTL))
        .with_freshness(policy);
    let service = CacheService::from(expander);
    let rows = service.repository(database.clone());
    (service, rows)
}

async fn settled<B: CacheBackend>(service: &CacheService<B>) {
    while service.expander().background_tasks() > 0 {
        tokio::task::yield_now().await;
    }
}

pub async fn a_thousand_tasks_on_a_stale_key_make_one_load<S: Server>() {
    let server = S::start();
    let (database, time) = (Gated::closed(), ManualClock::new());
    database.set("k", 1);
    let processes = [(); 2].map(|()| process::<S>(&server.url(), &time, &database));
    database.let_through(1);
    let id = "k".to_owned();
    assert!(processes[0].1.get(&id).await.unwrap().is_some());
    for round in 1..=10 {
        database.set("k", round + 1);
        time.advance(TTL);
        let before = database.loads();
        let mut callers = JoinSet::new();
        for n in 0..1_000 {
            let rows = processes[n % 2].1.clone();
            callers.spawn(async move { rows.get(&"k".to_owned()).with_outcome().await });
        }
        // None of them waits for the load, which does not end before.
        while let Some(caller) = callers.join_next().await {
            let (row, outcome) = caller.unwrap().unwrap();
            assert_eq!(row.unwrap().version, round);
            assert!(outcome.is_stale() && outcome.is_refreshing(), "{outcome:?}");
        }
        database.entered(before + 1).await;
        database.let_through(1);
        for (service, _) in &processes {
            settled(service).await;
        }
        for (_, rows) in &processes {
            let (row, outcome) = rows.get(&id).with_outcome().await.unwrap();
            assert_eq!(row.unwrap().version, round + 1);
            assert!(!outcome.is_stale());
        }
        assert_eq!(database.loads(), before + 1, "in round {round}");
    }
}

pub async fn a_caller_that_loads_itself_is_the_only_one<S: Server>() {
    let server = S::start();
    let (database, time) = (Gated::closed(), ManualClock::new());
    database.set("k", 1);
    let [(first, _), (second, _)] = [(); 2].map(|()| process::<S>(&server.url(), &time, &database));
    database.let_through(1);
    let refresh = CacheStrategy::Refresh;
    assert!(call(&first, &database, "k", refresh).await.is_ok());
    database.set("k", 2);
    time.advance(TTL);
    let loads = spawn(&first, &database, "k", refresh);
    database.entered(2).await;
    for service in [&first, &second] {
        for _ in 0..10 {
            let (outcome, version) = call(service, &database, "k", refresh).await.unwrap();
            assert_eq!((outcome.source(), version), (Source::Cache, Some(1)));
            assert!(outcome.is_stale() && outcome.is_refreshing(), "{outcome:?}");
        }
    }
    database.let_through(1);
    let (outcome, version) = loads.await.unwrap().unwrap();
    assert_eq!((outcome.source(), version), (Source::Repository, Some(2)));
    let (_, version) = call(&second, &database, "k", refresh).await.unwrap();
    assert_eq!((version, database.loads()), (Some(2), 2));
}

/// An invalidation of one process ends the staleness in the other one, whatever is on its way.
pub async fn an_invalidation_ends_staleness_everywhere<S: Server>() {
    let server = S::start();
    let (database, time) = (Gated::closed(), ManualClock::new());
    database.set("k", 1);
    let [(first, here), (_, there)] =
        [(); 2].map(|()| process::<S>(&server.url(), &time, &database));
    database.let_through(1);
    let id = "k".to_owned();
    assert!(here.get(&id).await.unwrap().is_some());
    time.advance(TTL);
    let (_, outcome) = here.get(&id).with_outcome().await.unwrap();
    assert!(outcome.is_refreshing());
    database.entered(2).await;
    database.set("k", 2);
    there.invalidate(&id).await.unwrap();
    // The refresh has read version 1, and must not store it.
    database.let_through(1);
    settled(&first).await;
    for rows in [&here, &there] {
        database.let_through(1);
        assert_eq!(rows.get(&id).await.unwrap().unwrap().version, 2);
    }
    assert_eq!(database.loads(), 3);
}
