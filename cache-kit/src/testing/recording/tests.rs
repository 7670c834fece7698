//! What a listener has heard.

use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::*;
use crate::backend::InMemoryBackend;
use crate::testing::user::{User, user};
use crate::testing::{FakeRepository, Fault, FaultyBackend};
use crate::{CacheExpander, CacheService, CachedRepository, Error};

type Users = CachedRepository<User, FaultyBackend<InMemoryBackend>>;

fn service(metrics: &RecordingMetrics) -> (Users, FakeRepository<User>) {
    let backend = FaultyBackend::new(InMemoryBackend::new());
    let expander = CacheExpander::new(backend).with_metrics(metrics.boxed());
    let table = FakeRepository::new();
    table.insert(user(1, "Ann"));
    let users = CacheService::from(expander).repository(table.clone());
    (users, table)
}

#[tokio::test(start_paused = true)]
async fn it_keeps_what_it_hears_with_its_key() {
    let metrics = RecordingMetrics::new();
    let (users, table) = service(&metrics);
    users.get(&1).await.expect("a row");
    users.get(&1).await.expect("a row");
    users.get(&2).await.expect("none");
    users.invalidate(&1).await.expect("done");
    assert_eq!((metrics.hits(), metrics.misses()), (1, 2));
    assert_eq!((metrics.stores(), metrics.invalidations()), (1, 1));
    table.fail(Error::RepositoryError("away".into()));
    assert!(users.get(&3).await.is_err());
    let errors = metrics.errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].0, "user:3");
    assert!(errors[0].1.contains("away"), "{errors:?}");
    let loaded = |found| CacheEvent::Loaded {
        found,
        duration: Duration::ZERO,
    };
    let events = [("user:1", true), ("user:2", false)];
    let events = events.map(|(key, found)| (key.to_owned(), loaded(found)));
    assert_eq!(metrics.events(), events);
    let of_first = HeardCounts {
        hits: 1,
        misses: 1,
        stores: 1,
        invalidations: 1,
        errors: 0,
        events: 1,
    };
    assert_eq!(metrics.counts_of("user:1"), of_first);
    assert_eq!(metrics.counts_of("user:3").errors, 1);
    assert_eq!(metrics.counts_of("user:"), HeardCounts::default());
    let heard = metrics.heard();
    let is_hit = |heard: &Heard| matches!(heard.event, CacheEvent::Hit { .. });
    assert_eq!(heard.iter().position(is_hit), Some(3));
    assert_eq!(
        (heard[3].key.as_str(), heard[3].prefix),
        ("user:1", Some("user"))
    );
    assert_eq!(heard[3].strategy, Some(CacheStrategy::Refresh));
    metrics.clone().clear();
    assert_eq!((metrics.counts(), metrics.heard()), Default::default());
}

#[tokio::test]
async fn durations_are_zero_unless_it_asks_for_them() {
    for wants in [false, true] {
        let metrics = match wants {
            false => RecordingMetrics::new(),
            true => RecordingMetrics::new().with_durations(),
        };
        let (users, table) = service(&metrics);
        table.slow(Duration::from_millis(2));
        users.get(&1).await.expect("a row");
        let events = metrics.events();
        let [(_, CacheEvent::Loaded { duration, .. })] = &events[..] else {
            unreachable!("{events:?}");
        };
        assert_eq!(!duration.is_zero(), wants, "{duration:?}");
    }
}

#[tokio::test]
async fn what_a_backend_tells_is_heard_too() {
    let metrics = RecordingMetrics::new();
    let (users, _table) = service(&metrics);
    users.service().backend().fail(Fault::Down);
    users.get(&1).await.expect("from the repository");
    assert!(!metrics.errors().is_empty());
    assert_eq!((metrics.hits(), metrics.stores()), (0, 0));
}

#[test]
fn counts_are_exact_with_a_thousand_tasks() {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(4).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let metrics = RecordingMetrics::new();
        let (users, _table) = service(&metrics);
        users.get(&1).await.expect("a row");
        metrics.clear();
        let mut tasks = JoinSet::new();
        for _ in 0..1_000 {
            let users = users.clone();
            tasks.spawn(async move { users.get(&1).await.is_ok() });
        }
        assert!(tasks.join_all().await.into_iter().all(|read| read));
        assert_eq!((metrics.hits(), metrics.heard().len()), (1_000, 1_000));
    });
}
