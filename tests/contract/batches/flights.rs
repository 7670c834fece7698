//! Batches and single calls share loads, whoever goes away, and never wait for each other in a
//! circle.

use cache_kit::CacheStrategy::Refresh;
use cache_kit::Source;
use cache_kit::observability::StoreResult;
use cache_kit_tests::{Gated, Step};

use super::{batch, idle, ready, scene, settle, single, sources, stores};

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

/// Each of two batches is left the flight that the other one waits for.
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
    // The leases live on, and are stored under.
    assert_eq!(ready(&mut alone).unwrap().0.store(), StoreResult::Stored);
    let (outcomes, seen) = ready(&mut joins).unwrap();
    assert_eq!(seen, [Some(1), Some(1)]);
    assert_eq!(stores(&outcomes), [StoreResult::Stored; 2]);
    assert_eq!(service.backend().calls(), "store 1, store_many 1");
    idle(&service);
    // Nobody waited for `d`.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(service.backend().calls(), "release 1");
    assert_eq!(service.backend().leases(), 0);
}
