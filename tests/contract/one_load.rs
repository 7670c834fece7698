//! One load per key, in whatever order the callers run.

use std::sync::Arc;
use std::task::Poll;

use cache_kit::backend::{CacheBackend, InMemoryBackend};
use cache_kit::{CacheService, CacheStrategy, Outcome, SharedFeeder, Source};
use cache_kit_tests::race::{Lazy, Way, one_load_each, read};
use cache_kit_tests::schedules::one_in;
use cache_kit_tests::{Gated, Row, Step};
use tokio::sync::Semaphore;

use super::counted::Counted;

/// Runs every order of the first `STEPS` polls of two callers, over a store that is awaited before
/// and after each command.
fn in_every_order(one: Way, other: Way) {
    const STEPS: u32 = 12;
    for order in 0..1_u32 << STEPS {
        let service = CacheService::new(Counted::slow(InMemoryBackend::new()));
        let database = Lazy::taking(3);
        let mut callers = [one, other].map(|way| Step::new(read(&service, &database, "hot", way)));
        for step in 0..STEPS {
            let _ = callers[(order >> step & 1) as usize].poll();
        }
        let mut polls = 0;
        while callers.iter().any(Step::is_running) {
            for caller in &mut callers {
                let _ = caller.poll();
            }
            polls += 1;
            assert!(polls < 200, "a caller hangs in order {order:b}");
        }
        assert_eq!(database.loads(), 1, "in order {order:012b}");
        assert_eq!(service.expander().loads_in_flight(), 0);
        assert_eq!(service.backend().leases(), 0);
    }
}

/// The callers are polled by hand, but a load needs a runtime for its deadline.
fn on_a_runtime(test: impl FnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    test();
}

#[test]
fn two_calls_make_one_load_in_every_order_of_their_polls() {
    on_a_runtime(|| in_every_order(Way::Single, Way::Single));
}

#[test]
fn a_call_and_a_batch_make_one_load_in_every_order_of_their_polls() {
    on_a_runtime(|| in_every_order(Way::Single, Way::Batch));
}

#[test]
fn two_batches_make_one_load_in_every_order_of_their_polls() {
    on_a_runtime(|| in_every_order(Way::Batch, Way::Batch));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_race_makes_one_load() {
    let service = CacheService::new(InMemoryBackend::new());
    one_load_each(&service, one_in(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_race_over_a_store_that_is_awaited_makes_one_load() {
    let service = CacheService::new(Counted::slow(InMemoryBackend::new()));
    one_load_each(&service, one_in(5)).await;
}

type Answer = (Outcome, Option<u64>);

async fn single<B: CacheBackend>(service: &CacheService<B>, database: &Gated) -> Answer {
    let mut feeder = SharedFeeder::<Row>::new("hot".to_owned());
    let outcome = service
        .execute(&mut feeder, database, CacheStrategy::Refresh)
        .await
        .unwrap();
    (outcome, feeder.entity.map(|row| row.version))
}

async fn batch<B: CacheBackend>(service: &CacheService<B>, database: &Gated) -> Answer {
    let mut feeder = [SharedFeeder::<Row>::new("hot".to_owned())];
    let outcomes = service
        .execute_many(&mut feeder, database, CacheStrategy::Refresh)
        .await
        .unwrap();
    let [feeder] = feeder;
    (outcomes[0], feeder.entity.map(|row| row.version))
}

fn answered(step: &mut Step<'_, Answer>) -> Answer {
    match step.poll() {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it still waits"),
    }
}

#[tokio::test]
async fn followers_wait_for_the_load_and_not_for_the_store() {
    let gate = Arc::new(Semaphore::new(0));
    let backend = Counted::gated(InMemoryBackend::new(), "store", gate.clone());
    let service = CacheService::new(backend);
    let database = Gated::closed();
    database.set("hot", 7);
    let mut leader = Step::new(single(&service, &database));
    assert!(leader.poll().is_pending());
    let mut one = Step::new(single(&service, &database));
    let mut other = Step::new(batch(&service, &database));
    assert!(one.poll().is_pending() && other.poll().is_pending());
    database.let_through(1);
    assert!(leader.poll().is_pending(), "the store has not answered");
    for follower in [&mut one, &mut other] {
        let (outcome, version) = answered(follower);
        assert_eq!((outcome.source(), version), (Source::Shared, Some(7)));
    }
    gate.add_permits(1);
    let (outcome, version) = answered(&mut leader);
    assert_eq!((outcome.source(), version), (Source::Repository, Some(7)));
    assert_eq!(database.loads(), 1);
    assert_eq!(service.expander().loads_in_flight(), 0);
}

#[tokio::test]
async fn a_reader_that_comes_while_the_entry_is_being_stored_makes_no_load() {
    let service = CacheService::new(Counted::slow(InMemoryBackend::new()));
    let database = Gated::closed();
    database.set("hot", 7);
    let mut leader = Step::new(single(&service, &database));
    let mut early = Step::new(batch(&service, &database));
    while database.loads() == 0 {
        assert!(leader.poll().is_pending());
        assert!(early.poll().is_pending());
    }
    for _ in 0..10 {
        assert!(early.poll().is_pending());
    }
    database.let_through(1);
    service.backend().calls();
    // The load has ended; the store has been requested but not done.
    assert!(leader.poll().is_pending());
    assert_eq!(service.backend().calls(), "store 1");
    let (outcome, version) = answered(&mut early);
    assert_eq!((outcome.source(), version), (Source::Shared, Some(7)));
    let mut late = Step::new(single(&service, &database));
    let late = (0..10).find_map(|_| match late.poll() {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    });
    let (outcome, version) = late.expect("it waits for the store");
    assert_eq!((outcome.source(), version), (Source::Shared, Some(7)));
    while leader.poll().is_pending() {}
    assert_eq!(database.loads(), 1);
}

#[tokio::test]
async fn who_begins_after_an_invalidation_is_not_answered_by_a_load_that_is_being_stored() {
    let service = CacheService::new(Counted::slow(InMemoryBackend::new()));
    let database = Gated::open();
    database.set("hot", 1);
    let mut leader = Step::new(single(&service, &database));
    service.backend().calls();
    while !service.backend().calls().contains("store") {
        assert!(leader.poll().is_pending());
    }
    database.set("hot", 2);
    service.invalidate::<Row>(&"hot".to_owned()).await.unwrap();
    let (outcome, version) = single(&service, &database).await;
    assert_eq!((outcome.source(), version), (Source::Repository, Some(2)));
    while leader.poll().is_pending() {}
    assert_eq!(single(&service, &database).await.1, Some(2));
}
