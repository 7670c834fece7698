//! A leader that is alive but not polled delays the others for a bounded time only; a call that is polled
//! too often says so.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use cache_kit::backend::{CacheBackend, InMemoryBackend};
use cache_kit::{
    CacheExpander, CacheService, CacheStrategy, DataRepository, ErrorKind, OperationConfig,
    Outcome, Result, SharedFeeder, Source,
};
use cache_kit_tests::{Row, Step, row};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::counted::Counted;

const MILLI: Duration = Duration::from_millis(1);

/// A database whose loads take their time.
#[derive(Clone)]
struct Slow(Duration);

impl DataRepository<Row> for Slow {
    async fn fetch_by_id(&self, id: &String) -> Result<Option<Row>> {
        sleep(self.0).await;
        Ok(Some(row(id, 1)))
    }
}

fn service() -> CacheService<InMemoryBackend> {
    CacheService::new(InMemoryBackend::new())
}

async fn read<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Slow,
    id: &str,
) -> Result<Outcome> {
    let mut feeder = SharedFeeder::<Row>::new(id.to_owned());
    let outcome = service
        .execute(&mut feeder, database, CacheStrategy::Refresh)
        .await;
    assert!(outcome.is_err() || feeder.entity.is_some());
    outcome
}

async fn read_many<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Slow,
    ids: &[&str],
) -> Result<Vec<Outcome>> {
    let mut feeders: Vec<_> = ids
        .iter()
        .map(|id| SharedFeeder::<Row>::new((*id).to_owned()))
        .collect();
    service
        .execute_many(&mut feeders[..], database, CacheStrategy::Refresh)
        .await
}

/// The first call is a miss, the second a hit.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_polled_after_its_answer_panics_and_does_not_hang() {
    let (service, database) = (service(), Slow(MILLI));
    for source in [Source::Repository, Source::Cache] {
        let mut feeder = SharedFeeder::<Row>::new("a".to_owned());
        let mut call = pin!(service.execute(&mut feeder, &database, CacheStrategy::Refresh));
        assert_eq!((&mut call).await.unwrap().source(), source);
        let mut context = Context::from_waker(Waker::noop());
        let again = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(&mut context)));
        assert!(again.is_err(), "{source}: {again:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_select_that_falls_through_does_not_wait_for_itself() {
    let (service, database) = (service(), Slow(50 * MILLI));
    let mut first = pin!(read(&service, &database, "a"));
    assert!(timeout(20 * MILLI, &mut first).await.is_err());
    let begun = Instant::now();
    read(&service, &database, "a").await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    first.await.unwrap();
    assert_eq!(service.expander().loads_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_falls_through_does_not_wait_for_itself() {
    let (service, database) = (service(), Slow(50 * MILLI));
    let mut first = pin!(read_many(&service, &database, &["a", "b", "c"]));
    assert!(timeout(20 * MILLI, &mut first).await.is_err());
    let begun = Instant::now();
    read_many(&service, &database, &["c", "d", "a"])
        .await
        .unwrap();
    read(&service, &database, "b").await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    first.await.unwrap();
    assert_eq!(service.expander().loads_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn other_tasks_go_on_too_and_make_one_load() {
    let (service, database) = (service(), Slow(50 * MILLI));
    let mut first = pin!(read(&service, &database, "a"));
    assert!(timeout(20 * MILLI, &mut first).await.is_err());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (service, database) = (service.clone(), database.clone());
        tasks.spawn(async move { read(&service, &database, "a").await.unwrap().source() });
    }
    let sources = timeout(Duration::from_secs(2), tasks.join_all())
        .await
        .unwrap();
    let loads = sources
        .iter()
        .filter(|source| **source == cache_kit::Source::Repository)
        .count();
    assert_eq!(loads, 1, "one of them takes the lead");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_waits_for_its_database_is_not_taken_for_stalled() {
    let (service, database) = (service(), Slow(Duration::from_secs(7)));
    let leader = {
        let (service, database) = (service.clone(), database.clone());
        tokio::spawn(async move { read(&service, &database, "a").await.unwrap() })
    };
    tokio::task::yield_now().await;
    let outcome = read(&service, &database, "a").await.unwrap();
    assert_eq!(outcome.source(), cache_kit::Source::Shared);
    leader.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_follower_waits_for_its_own_load_deadline_and_no_longer() {
    let (service, database) = (service(), Slow(Duration::from_secs(3)));
    let leader = {
        let (service, database) = (service.clone(), database.clone());
        tokio::spawn(async move { read(&service, &database, "a").await })
    };
    tokio::task::yield_now().await;
    for deadline in [100, 1_500].map(Duration::from_millis) {
        let begun = Instant::now();
        let config = OperationConfig::default().with_load_deadline(deadline);
        let mut feeder = SharedFeeder::<Row>::new("a".to_owned());
        let error = service
            .execute_with_config(&mut feeder, &database, CacheStrategy::Refresh, config)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(error.to_string().contains("row:a"), "{error}");
        assert_eq!(begun.elapsed(), deadline);

        let begun = Instant::now();
        let error = service
            .execute_many_with_config(
                std::slice::from_mut(&mut feeder),
                &database,
                CacheStrategy::Refresh,
                config,
            )
            .await;
        match deadline.as_millis() {
            100 => assert_eq!(error.unwrap_err().kind(), ErrorKind::Timeout),
            // The load has ended by then.
            _ => assert!(error.is_ok()),
        }
        assert!(begun.elapsed() <= deadline);
    }
    leader.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_leader_left_alone_while_it_takes_its_lease_holds_the_others_no_longer_either() {
    for command in ["lease", "store"] {
        let gate = Arc::new(Semaphore::new(0));
        let backend = Counted::gated(InMemoryBackend::new(), command, gate.clone());
        let service = CacheExpander::new(backend).with_load_deadline(Duration::from_secs(3));
        let service = CacheService::from(service);
        let database = Slow(Duration::ZERO);
        let mut first = Step::new(read(&service, &database, "a"));
        // A sleep of zero still lets the timer run.
        while !service.backend().calls().contains(command) {
            assert!(first.poll().is_pending());
            sleep(MILLI).await;
        }
        gate.add_permits(10);
        let begun = Instant::now();
        read(&service, &database, "a").await.unwrap();
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "{command}: {:?}",
            begun.elapsed()
        );
        while first.is_running() {
            let _ = first.poll();
            sleep(MILLI).await;
        }
        assert_eq!(service.expander().loads_in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_longest_deadline_is_one_to_wait_with_too() {
    let service = CacheExpander::new(InMemoryBackend::new()).with_load_deadline(Duration::MAX);
    let service = CacheService::from(service);
    let database = Slow(50 * MILLI);
    let (one, other) = tokio::join!(
        read(&service, &database, "a"),
        read(&service, &database, "a")
    );
    one.unwrap();
    other.unwrap();
}
