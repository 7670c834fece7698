//! One load per key, whatever happens to the leader.

use std::sync::Arc;
use std::task::Poll;

use cache_kit::backend::InMemoryBackend;
use cache_kit::repository;
use cache_kit::testing::{Fault, FaultyBackend};
use cache_kit::{
    CacheExpander, CacheService, CacheStrategy, Error, ErrorKind, Outcome, Result, SharedFeeder,
    Source,
};
use cache_kit_tests::{Gated, Row, Step};

use super::counted::Counted;
use tokio::task::JoinSet;

type Answer = Result<(Outcome, Option<Arc<Row>>)>;

async fn read<B: cache_kit::backend::CacheBackend>(
    service: CacheService<B>,
    database: Gated,
    id: &str,
) -> Answer {
    let mut feeder = SharedFeeder::<Row>::new(id.to_owned());
    let outcome = service
        .execute(&mut feeder, &database, CacheStrategy::Refresh)
        .await?;
    Ok((outcome, feeder.entity))
}

fn version(answer: &Answer) -> Option<u64> {
    answer.as_ref().unwrap().1.as_ref().map(|row| row.version)
}

fn idle<B: cache_kit::backend::CacheBackend>(service: &CacheService<B>) {
    assert_eq!(
        service.expander().loads_in_flight(),
        0,
        "something was left in the air"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_on_a_missing_key_make_one_load() {
    for _ in 0..20 {
        let service = CacheService::new(InMemoryBackend::new());
        let database = Gated::closed();
        database.set("hot", 7);
        let mut tasks = JoinSet::new();
        for _ in 0..1_000 {
            let (service, database) = (service.clone(), database.clone());
            tasks.spawn(async move { read(service, database, "hot").await });
        }
        database.entered(1).await;
        database.let_through(1_000);
        let mut sources = std::collections::HashMap::new();
        while let Some(answer) = tasks.join_next().await {
            let answer = answer.unwrap();
            assert_eq!(version(&answer), Some(7));
            *sources.entry(answer.unwrap().0.source()).or_insert(0) += 1;
        }
        assert_eq!(database.loads(), 1);
        assert_eq!(sources[&Source::Repository], 1);
        idle(&service);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_failing_load_is_made_once_and_its_error_reaches_every_caller() {
    let service = CacheService::new(InMemoryBackend::new());
    let database = Gated::closed();
    database.fail(Some(Error::repository(std::io::Error::other(
        "disk on fire",
    ))));
    let mut tasks = JoinSet::new();
    for _ in 0..500 {
        let (service, database) = (service.clone(), database.clone());
        tasks.spawn(async move { read(service, database, "hot").await });
    }
    // All of them must have joined before the load fails, or the late ones load for themselves.
    database.entered(1).await;
    for _ in 0..2_000 {
        tokio::task::yield_now().await;
    }
    database.let_through(500);
    let mut failed = 0;
    while let Some(answer) = tasks.join_next().await {
        let error = answer.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "repository failed: load row:hot");
        let source = std::error::Error::source(&error).unwrap();
        assert!(source.downcast_ref::<std::io::Error>().is_some());
        failed += 1;
    }
    assert_eq!(failed, 500);
    idle(&service);
}

#[tokio::test]
async fn waiters_do_not_repeat_a_failed_load() {
    let service = CacheService::new(InMemoryBackend::new());
    let database = Gated::closed();
    database.fail(Some(Error::RepositoryError("down".into())));
    let mut readers: Vec<_> = (0..10)
        .map(|_| Step::new(read(service.clone(), database.clone(), "hot")))
        .collect();
    for reader in &mut readers {
        assert!(reader.poll().is_pending());
    }
    database.let_through(10);
    for reader in &mut readers {
        let Poll::Ready(answer) = reader.poll() else {
            panic!("a reader hangs")
        };
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Repository);
    }
    assert_eq!(database.loads(), 1);
    idle(&service);
    // The key is free: the next reader loads.
    database.fail(None);
    database.set("hot", 1);
    assert_eq!(version(&read(service, database, "hot").await), Some(1));
}

#[tokio::test]
async fn a_cancelled_leader_hands_over_and_its_lease_lives_on() {
    let service = CacheService::new(InMemoryBackend::new());
    let database = Gated::closed();
    database.set("hot", 1);
    let mut leader = Step::new(read(service.clone(), database.clone(), "hot"));
    let mut first = Step::new(read(service.clone(), database.clone(), "hot"));
    let mut second = Step::new(read(service.clone(), database.clone(), "hot"));
    for reader in [&mut leader, &mut first, &mut second] {
        assert!(reader.poll().is_pending());
    }
    assert_eq!(database.loads(), 1);

    leader.cancel();
    assert_eq!(database.dropped(), 1);
    assert!(first.wakes() > 0 && second.wakes() > 0);
    assert!(first.poll().is_pending());
    assert!(second.poll().is_pending());
    assert_eq!(database.loads(), 2, "one successor loads");

    first.cancel();
    assert!(second.poll().is_pending());
    assert_eq!(database.loads(), 3);

    database.let_through(1);
    let Poll::Ready(answer) = second.poll() else {
        panic!("the last successor hangs")
    };
    let (outcome, _) = answer.unwrap();
    assert_eq!(
        outcome.store(),
        cache_kit::observability::StoreResult::Stored
    );
    idle(&service);
    assert_eq!(service.backend().len(), 1);
}

#[tokio::test]
async fn a_key_is_free_when_all_its_readers_are_gone() {
    let service = CacheService::new(InMemoryBackend::new());
    let database = Gated::closed();
    database.set("hot", 1);
    let mut readers: Vec<_> = (0..3)
        .map(|_| Step::new(read(service.clone(), database.clone(), "hot")))
        .collect();
    for reader in &mut readers {
        assert!(reader.poll().is_pending());
    }
    for reader in &mut readers {
        reader.cancel();
    }
    idle(&service);
    database.let_through(1);
    assert_eq!(version(&read(service, database, "hot").await), Some(1));
}

#[tokio::test]
async fn a_lease_that_will_not_be_filled_is_released() {
    let service = CacheService::new(Counted::new(InMemoryBackend::new()));
    let database = Gated::closed();
    database.set("hot", 1);
    let mut leader = Step::new(read(service.clone(), database.clone(), "hot"));
    let mut successor = Step::new(read(service.clone(), database.clone(), "hot"));
    assert!(leader.poll().is_pending() && successor.poll().is_pending());

    // There is a follower, so the lease is still needed.
    leader.cancel();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(successor.poll().is_pending());
    assert_eq!(service.backend().leases(), 1);
    assert_eq!(service.backend().calls(), "get 2, lease 1");

    successor.cancel();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(service.backend().leases(), 0);
    assert_eq!(service.backend().calls(), "release 1");
    idle(&service);
}

#[test]
fn without_a_runtime_a_lease_is_dropped_where_it_is() {
    let service = CacheService::new(Counted::new(InMemoryBackend::new()));
    let database = Gated::closed();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let mut leader = Step::new(read(service.clone(), database.clone(), "hot"));
    runtime.block_on(async { assert!(leader.poll().is_pending()) });
    assert_eq!(service.backend().leases(), 1);
    leader.cancel();
    assert_eq!(service.backend().leases(), 0);
    assert_eq!(service.backend().calls(), "get 1, lease 1");
    idle(&service);
}

#[tokio::test]
async fn a_panicking_load_is_an_error_for_every_caller_and_frees_the_key() {
    let service = CacheService::new(InMemoryBackend::new());
    let (open, gate) = tokio::sync::watch::channel(false);
    let broken = repository::from_fn(move |_: &String| {
        let mut gate = gate.clone();
        async move {
            let _ = gate.wait_for(|open| *open).await;
            if *gate.borrow() {
                panic!("row {} is cursed", 13);
            }
            Ok(None::<Row>)
        }
    });
    let mut readers: Vec<_> = (0..5)
        .map(|_| {
            let (service, broken) = (&service, &broken);
            Step::new(async move {
                let mut feeder = SharedFeeder::<Row>::new("hot".to_owned());
                service
                    .execute(&mut feeder, broken, CacheStrategy::Refresh)
                    .await
            })
        })
        .collect();
    for reader in &mut readers {
        assert!(reader.poll().is_pending());
    }
    open.send_replace(true);
    for reader in &mut readers {
        let Poll::Ready(answer) = reader.poll() else {
            panic!("a reader hangs")
        };
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panicked);
        assert_eq!(
            error.to_string(),
            "repository panicked: load row:hot: row 13 is cursed"
        );
    }
    idle(&service);
    let database = Gated::open();
    database.set("hot", 1);
    assert_eq!(
        version(&read(service.clone(), database, "hot").await),
        Some(1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_load_that_hangs_ends_at_the_deadline_for_every_caller() {
    let expander = CacheExpander::new(InMemoryBackend::new())
        .with_load_deadline(std::time::Duration::from_secs(2));
    let service = CacheService::from(expander);
    let database = Gated::closed();
    let begun = tokio::time::Instant::now();
    let (one, two) = tokio::join!(
        read(service.clone(), database.clone(), "hot"),
        read(service.clone(), database.clone(), "hot"),
    );
    assert_eq!(begun.elapsed().as_secs(), 2);
    for answer in [one, two] {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains("load row:hot"), "{error}");
    }
    assert_eq!((database.loads(), database.dropped()), (1, 1));
    idle(&service);
}

#[tokio::test]
async fn a_dead_cache_is_no_stampede_on_the_database() {
    let backend = FaultyBackend::new(InMemoryBackend::new());
    backend.fail(Fault::Down);
    let service = CacheService::new(backend);
    let database = Gated::closed();
    database.set("hot", 1);
    let mut early = crowd(&service, &database);
    let mut late = crowd(&service, &database);
    poll_all(&mut early);
    poll_all(&mut early);
    assert_eq!(database.loads(), 1);
    // The key may have been invalidated elsewhere meanwhile, so calls that begin after the load
    // need a load that begins after them: one, for all of them.
    poll_all(&mut late);
    assert_eq!(database.loads(), 1);
    database.let_through(1);
    assert_eq!(poll_all(&mut early), 50);
    assert_eq!(poll_all(&mut late) + poll_all(&mut late), 0);
    assert_eq!(database.loads(), 2);
    database.let_through(1);
    assert_eq!(poll_all(&mut late), 50);
    assert_eq!(database.loads(), 2);
    idle(&service);
}

fn crowd(
    service: &CacheService<FaultyBackend<InMemoryBackend>>,
    database: &Gated,
) -> Vec<Step<'static, Answer>> {
    (0..50)
        .map(|_| Step::new(read(service.clone(), database.clone(), "hot")))
        .collect()
}

/// Polls each of them once; returns how many ended, with the repository's answer.
fn poll_all(readers: &mut [Step<'static, Answer>]) -> usize {
    readers
        .iter_mut()
        .filter(|reader| reader.is_running())
        .filter_map(|reader| match reader.poll() {
            Poll::Ready(answer) => Some(answer.unwrap().0),
            Poll::Pending => None,
        })
        .inspect(|outcome| assert!(outcome.degraded().read))
        .count()
}

#[tokio::test]
async fn two_services_share_a_store_and_no_flight() {
    let backend = InMemoryBackend::new();
    let one = CacheService::new(backend.clone());
    let two = CacheService::new(backend);
    let database = Gated::closed();
    database.set("hot", 1);
    let mut a = Step::new(read(one.clone(), database.clone(), "hot"));
    let mut b = Step::new(read(two.clone(), database.clone(), "hot"));
    let mut c = Step::new(read(one.clone(), database.clone(), "hot"));
    assert!(a.poll().is_pending() && b.poll().is_pending() && c.poll().is_pending());
    assert_eq!(database.loads(), 2);
    database.let_through(2);
    assert!(a.poll().is_ready() && b.poll().is_ready() && c.poll().is_ready());
    idle(&one);
    idle(&two);
}
