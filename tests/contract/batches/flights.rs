//! Batches and single calls share loads, whichever call goes away, and never wait for each other in
//! a circle.

use std::task::Poll;
use std::time::Duration;

use cache_kit::CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::{Encoded, InMemoryBackend, Invalidated};
use cache_kit::observability::StoreResult;
use cache_kit::{CacheService, Error, Source};
use cache_kit_tests::{Gated, Row, Step};

use super::{batch, idle, ready, scene, settle, single, sources, stores};
use crate::byte_store::MapStore;
use crate::counted::Counted;

#[tokio::test]
async fn a_batch_joins_single_loads_and_single_calls_join_a_batch() {
    let (service, database) = scene(Gated::closed());
    let mut first = Step::new(single(&service, &database, "a", Refresh));
    assert!(first.poll().is_pending());
    let mut many = Step::new(batch(&service, &database, &["c", "a", "b"], Refresh));
    assert!(many.poll().is_pending());
    let mut last = Step::new(single(&service, &database, "b", Refresh));
    assert!(last.poll().is_pending());
    assert_eq!(database.queries(), [vec!["a"], vec!["c", "b"]]);

    // The gate is fair: the single load ends first, and the batch waits for its own.
    database.let_through(1);
    assert_eq!(ready(&mut first).unwrap().1, Some(1));
    assert!(many.poll().is_pending() && last.poll().is_pending());
    database.let_through(1);
    let (outcomes, seen) = ready(&mut many).unwrap();
    assert_eq!(seen, [Some(1); 3]);
    use Source::{Repository, Shared};
    assert_eq!(sources(&outcomes), [Repository, Shared, Repository]);
    let (outcome, seen) = ready(&mut last).unwrap();
    assert_eq!((outcome.source(), seen), (Shared, Some(1)));
    assert_eq!(database.loads(), 2);
    idle(&service);
}

#[tokio::test]
async fn two_overlapping_batches_in_opposite_order_load_each_key_once() {
    let (service, database) = scene(Gated::closed());
    let mut batches = [
        Step::new(batch(&service, &database, &["a", "b", "c"], Refresh)),
        Step::new(batch(&service, &database, &["d", "c", "b"], Refresh)),
        Step::new(batch(&service, &database, &["d", "a"], Refresh)),
    ];
    settle(&mut batches);
    assert_eq!(database.queries(), [vec!["a", "b", "c"], vec!["d"]]);
    database.let_through(2);
    for answer in settle(&mut batches) {
        let (_, seen) = answer.expect("a batch hangs").unwrap();
        assert!(seen.iter().all(|seen| *seen == Some(1)));
    }
    assert_eq!(database.loads(), 2);
    idle(&service);
}

/// Each of two batches takes over the flight that the other one waits for.
#[tokio::test]
async fn batches_that_are_left_each_others_flights_do_not_wait_for_each_other() {
    let (service, database) = scene(Gated::closed());
    let mut leads_a = Step::new(single(&service, &database, "a", Refresh));
    let mut leads_b = Step::new(single(&service, &database, "b", Refresh));
    assert!(leads_a.poll().is_pending() && leads_b.poll().is_pending());
    let mut one = Step::new(batch(&service, &database, &["a", "b"], Refresh));
    let mut other = Step::new(batch(&service, &database, &["b", "a"], Refresh));
    assert!(one.poll().is_pending() && other.poll().is_pending());
    assert_eq!(database.loads(), 2);
    leads_a.cancel();
    assert!(one.poll().is_pending());
    leads_b.cancel();
    assert!(other.poll().is_pending());
    assert_eq!(database.queries()[2..], [["a"], ["b"]]);
    database.let_through(2);
    for answer in settle(&mut [one, other]) {
        let (_, seen) = answer.expect("a batch hangs").unwrap();
        assert_eq!(seen, [Some(1), Some(1)]);
    }
    assert_eq!(database.loads(), 4);
    idle(&service);
}

/// A batch that is loading something else takes over a flight at once.
#[tokio::test]
async fn a_batch_that_loads_goes_on_with_what_it_is_left() {
    let (service, database) = scene(Gated::closed());
    let mut dropped = Step::new(single(&service, &database, "a", Refresh));
    assert!(dropped.poll().is_pending());
    let mut many = Step::new(batch(&service, &database, &["a", "b"], Refresh));
    assert!(many.poll().is_pending());
    let mut last = Step::new(single(&service, &database, "b", Refresh));
    assert!(last.poll().is_pending());
    dropped.cancel();
    assert!(many.wakes() > 0);
    assert!(many.poll().is_pending());
    assert_eq!(database.queries(), [["a"], ["b"], ["a"]]);
    // Each of the two loads answers by itself.
    database.let_through(1);
    assert!(many.poll().is_pending());
    assert_eq!(ready(&mut last).unwrap().1, Some(1));
    database.let_through(1);
    assert_eq!(ready(&mut many).unwrap().1, [Some(1); 2]);
    idle(&service);
}

/// A database with a closed gate whose loads fail.
fn failing() -> Gated {
    let database = Gated::closed();
    database.fail(Some(Error::RepositoryError("away".into())));
    database
}

/// Other calls can use what a batch is loading, even if the batch fails or is dropped.
#[tokio::test]
async fn a_batch_that_fails_loads_to_the_end_what_it_leads() {
    let (service, database) = scene(Gated::closed());
    let failing = failing();
    let mut fails = Step::new(single(&service, &failing, "a", Refresh));
    assert!(fails.poll().is_pending());
    let mut many = Step::new(batch(&service, &database, &["a", "b"], Refresh));
    let mut last = Step::new(single(&service, &database, "b", Refresh));
    assert!(many.poll().is_pending() && last.poll().is_pending());
    failing.let_through(1);
    assert!(ready(&mut fails).is_err());
    assert!(many.poll().is_pending() && last.poll().is_pending());
    database.let_through(1);
    let error = ready(&mut many).unwrap_err();
    assert!(error.to_string().contains("away"), "{error}");
    let (outcome, seen) = ready(&mut last).unwrap();
    assert_eq!((outcome.source(), seen), (Source::Shared, Some(1)));
    assert_eq!(database.queries(), [["b"]]);
    assert!(
        single(&service, &database, "b", Fresh)
            .await
            .unwrap()
            .0
            .is_hit()
    );
    idle(&service);
}

/// A batch that has failed, and only finishes its loads, takes nothing over.
#[tokio::test]
async fn a_batch_that_fails_leaves_to_others_what_it_is_left() {
    let (service, database) = scene(Gated::closed());
    let failing = failing();
    let mut dropped = Step::new(single(&service, &database, "a", Refresh));
    let mut fails = Step::new(single(&service, &failing, "c", Refresh));
    assert!(dropped.poll().is_pending() && fails.poll().is_pending());
    let mut many = Step::new(batch(&service, &database, &["a", "b", "c"], Refresh));
    assert!(many.poll().is_pending());
    failing.let_through(1);
    assert!(ready(&mut fails).is_err());
    assert!(many.poll().is_pending(), "it loads `b` to the end");
    dropped.cancel();
    assert!(many.poll().is_pending());
    let mut late = Step::new(single(&service, &database, "a", Refresh));
    assert!(late.poll().is_pending());
    assert_eq!(database.queries(), [["a"], ["b"], ["a"]]);
    database.let_through(2);
    assert!(ready(&mut many).is_err());
    assert_eq!(ready(&mut late).unwrap().1, Some(1));
    idle(&service);
}

/// The same circle through another process: each of two batches waits for a lease that the other
/// one took over.
#[tokio::test(start_paused = true)]
async fn processes_that_are_left_each_others_keys_do_not_wait_for_each_other() {
    let store = MapStore::default();
    let [here, there] = [(), ()].map(|()| CacheService::new(Encoded::over(store.clone())));
    let database = Gated::closed();
    database.set("a", 1);
    database.set("b", 1);
    let mut leads = [
        Step::new(single(&here, &database, "a", Refresh)),
        Step::new(single(&there, &database, "b", Refresh)),
    ];
    settle(&mut leads);
    assert_eq!(database.loads(), 2);
    let mut batches =
        [&here, &there].map(|service| Step::new(batch(service, &database, &["a", "b"], Refresh)));
    settle(&mut batches);
    assert_eq!(database.loads(), 2, "each waits for the other process");
    leads.iter_mut().for_each(Step::cancel);
    settle(&mut batches);
    assert_eq!(database.queries()[2..], [["a"], ["b"]]);
    database.let_through(2);
    settle(&mut batches);
    // The other process's entry is seen at the next look.
    tokio::time::advance(Duration::from_millis(10)).await;
    for batch in &mut batches {
        assert_eq!(ready(batch).unwrap().1, [Some(1); 2]);
    }
    assert_eq!(database.loads(), 4);
    idle(&here);
    idle(&there);
}

#[tokio::test]
async fn a_dropped_batch_hands_over_each_of_its_flights() {
    let (service, database) = scene(Gated::closed());
    let mut dropped = Step::new(batch(&service, &database, &["a", "b", "c", "d"], Refresh));
    assert!(dropped.poll().is_pending());
    let mut alone = Step::new(single(&service, &database, "c", Refresh));
    let mut joins = Step::new(batch(&service, &database, &["b", "a"], Refresh));
    assert!(alone.poll().is_pending() && joins.poll().is_pending());
    service.backend().calls();
    dropped.cancel();
    assert_eq!(database.dropped(), 1);
    assert!(alone.wakes() > 0 && joins.wakes() > 0);
    assert!(alone.poll().is_pending() && joins.poll().is_pending());
    assert_eq!(
        database.queries()[1..],
        [vec!["c"], vec!["a", "b"]],
        "each goes on with what it waits for"
    );
    database.let_through(2);
    // The leases stay valid, and are filled.
    assert_eq!(ready(&mut alone).unwrap().0.store(), StoreResult::Stored);
    let (outcomes, seen) = ready(&mut joins).unwrap();
    assert_eq!(seen, [Some(1), Some(1)]);
    assert_eq!(stores(&outcomes), [StoreResult::Stored; 2]);
    assert_eq!(service.backend().calls(), "store 1, store_many 1");
    idle(&service);
    // No call waited for `d`.
    let_tasks_run().await;
    assert_eq!(service.backend().calls(), "release 1");
    assert_eq!(service.backend().leases(), 0);
}

/// Runs the tasks that release the leases of a dropped call.
async fn let_tasks_run() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_batch_may_be_dropped_at_every_await() {
    for strategy in [Refresh, Invalidate, Bypass] {
        let mut awaits = 0;
        loop {
            let service = CacheService::new(Counted::slow(InMemoryBackend::new()));
            let (_, database) = scene(Gated::open());
            let ids = ["a", "b", "nobody", "c"];
            let mut dropped = Step::new(batch(&service, &database, &ids, strategy));
            let mut others = [
                Step::new(batch(&service, &database, &["b"], Refresh)),
                Step::new(batch(&service, &database, &["nobody", "c", "d"], Refresh)),
            ];
            let mut ended = [None, None];
            let mut over = false;
            for _ in 0..=awaits {
                over = over || dropped.poll().is_ready();
                for (other, ended) in others.iter_mut().zip(&mut ended) {
                    if let (true, Poll::Ready(answer)) = (other.is_running(), other.poll()) {
                        *ended = Some(answer);
                    }
                }
            }
            dropped.cancel();
            let late = settle(&mut others);
            for (early, late) in ended.into_iter().zip(late) {
                let answer = early.or(late).expect("a batch hangs");
                let seen = answer.unwrap().1;
                assert!(seen == [Some(1)] || seen == [None, Some(1), Some(1)]);
            }
            idle(&service);
            let_tasks_run().await;
            assert_eq!(
                service.backend().leases(),
                0,
                "{strategy} dropped at {awaits}"
            );

            // Every key is free, and what is there is current.
            database.set("a", 2);
            let done = service.invalidate::<Row>(&"a".to_owned()).await;
            assert_eq!(done.unwrap(), Invalidated::Done);
            let all = ["a", "b", "c", "d", "nobody"];
            let (_, seen) = batch(&service, &database, &all, Refresh).await.unwrap();
            assert_eq!(seen, [Some(2), Some(1), Some(1), Some(1), None]);
            let (_, seen) = batch(&service, &database, &all, Fresh).await.unwrap();
            assert_eq!(seen, [Some(2), Some(1), Some(1), Some(1), None]);
            if over {
                break;
            }
            awaits += 1;
        }
        assert!(awaits >= 4, "{strategy} awaited {awaits} times");
    }
}

#[tokio::test]
async fn what_another_process_stores_meanwhile_is_not_loaded() {
    let backend = Counted::slow(InMemoryBackend::new());
    let (here, there) = (
        CacheService::new(backend.clone()),
        CacheService::new(backend.clone()),
    );
    let (_, database) = scene(Gated::open());
    let mut late = Step::new(batch(&here, &database, &["a", "b", "c"], Refresh));
    let mut seen = String::new();
    while !seen.contains("lease_many") {
        assert!(late.poll().is_pending());
        seen += &backend.calls();
    }
    // Its look-up found nothing, and its lease commands are in flight.
    single(&there, &database, "b", Refresh).await.unwrap();
    let [answer] = settle(&mut [late]).try_into().unwrap();
    let (outcomes, seen) = answer.expect("a batch hangs").unwrap();
    assert_eq!(seen, [Some(1); 3]);
    use Source::{Cache, Repository};
    assert_eq!(sources(&outcomes), [Repository, Cache, Repository]);
    assert_eq!(database.queries(), [vec!["b"], vec!["a", "c"]]);
    idle(&here);
}
