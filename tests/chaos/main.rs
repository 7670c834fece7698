//! The short form of the chaos command: some seconds for each store.

#![allow(missing_docs, reason = "a failed expectation is what a test is for")]

use std::time::Duration;

use cache_kit_tests::chaos::{Plan, Store, run};

/// On a busy machine the cache takes longer to hit again than the three seconds of the command.
const HEALING: Duration = Duration::from_secs(20);

fn some_seconds_of(store: Store) {
    let plan = Plan {
        store,
        length: Duration::from_secs(8),
        seed: fastrand::u64(..),
        healing: HEALING,
    };
    let report = match run(plan) {
        Ok(report) => report,
        Err(error) => unreachable!("{plan:?}: {error}"),
    };
    assert!(report.is_well(), "{plan:?}\n{report}");
    assert!(report.answers.values().sum::<usize>() > 500, "{report}");
}

#[test]
fn of_memory() {
    some_seconds_of(Store::Memory);
}

#[test]
fn of_redis() {
    some_seconds_of(Store::Redis);
}

#[test]
fn of_a_cluster() {
    some_seconds_of(Store::Cluster);
}

#[test]
fn of_memcached() {
    some_seconds_of(Store::Memcached);
}
