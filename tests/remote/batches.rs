//! Batches: independent keys, whatever their number, and few loads.

use std::time::Duration;

use cache_kit::CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::{CacheBackend, Invalidated, MissReason};
use cache_kit::observability::StoreResult;
use cache_kit::{
    CacheExpander, CacheService, CacheStrategy, Outcome, Result, SharedFeeder, Source,
};
use cache_kit_tests::calls::{PATIENCE, call, service, service_by_default};
use cache_kit_tests::servers::{Server, eventually_async};
use cache_kit_tests::{Gated, Row};
use tokio::task::JoinHandle;

use super::bytes::{Discards, put_newer};

type Answer = Result<(Vec<Outcome>, Vec<Option<u64>>)>;

async fn batch<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Gated,
    ids: &[&str],
    strategy: CacheStrategy,
) -> Answer {
    let mut feeders: Vec<_> = ids
        .iter()
        .map(|id| SharedFeeder::<Row>::new((*id).to_owned()))
        .collect();
    let outcomes = service
        .execute_many(&mut feeders, database, strategy)
        .await?;
    let version = |feeder: SharedFeeder<Row>| {
        let row = feeder.entity?;
        assert_eq!(row.id, feeder.id, "a mix-up");
        Some(row.version)
    };
    Ok((outcomes, feeders.into_iter().map(version).collect()))
}

fn spawn<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Gated,
    ids: &'static [&str],
    strategy: CacheStrategy,
) -> JoinHandle<Answer> {
    let (service, database) = (service.clone(), database.clone());
    tokio::spawn(async move { batch(&service, &database, ids, strategy).await })
}

fn stores(outcomes: &[Outcome]) -> Vec<StoreResult> {
    outcomes.iter().map(Outcome::store).collect()
}

fn sources(outcomes: &[Outcome]) -> Vec<Source> {
    outcomes.iter().map(Outcome::source).collect()
}

/// A server, and a database with rows `a` to `d` in version 1.
fn scene<S: Server>(database: Gated) -> (S, Gated) {
    for id in ["a", "b", "c", "d"] {
        database.set(id, 1);
    }
    (S::start(), database)
}

/// A service that waits this long for the lease of another process.
fn waiting<S: Server>(server: &S, wait: Duration) -> CacheService<S::Backend> {
    let backend = S::patient_backend(&server.url(), |encoded| encoded);
    CacheExpander::new(backend.unwrap())
        .with_lease_wait(wait)
        .into()
}

pub async fn order_duplicates_and_holes<S: Server>() {
    let (server, database) = scene::<S>(Gated::open());
    let (here, there) = (service::<S>(&server.url()), service::<S>(&server.url()));
    batch(&here, &database, &["a", "b"], Refresh).await.unwrap();
    let ids = ["c", "b", "absent", "a", "c", "b"];
    let (outcomes, seen) = batch(&there, &database, &ids, Refresh).await.unwrap();
    assert_eq!(seen, [Some(1), Some(1), None, Some(1), Some(1), Some(1)]);
    use Source::{Cache, Repository};
    assert_eq!(
        sources(&outcomes),
        [Repository, Cache, Repository, Cache, Repository, Cache]
    );
    assert_eq!(database.queries()[1..], [["c", "absent"]]);
    assert_eq!(
        server.value("row:absent"),
        None,
        "the lease of an absent row is released"
    );
}

pub async fn more_keys_than_are_sent_at_once<S: Server>() {
    let (server, database) = scene::<S>(Gated::open());
    let service = service::<S>(&server.url());
    let ids: Vec<String> = (0..3_000).map(|n| format!("n{n}")).collect();
    for (n, id) in (0..).zip(&ids) {
        database.set(id, n);
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let versions: Vec<_> = (0..3_000).map(Some).collect();
    for strategy in [Refresh, Fresh, Invalidate, Bypass, Fresh] {
        let (outcomes, seen) = batch(&service, &database, &ids, strategy).await.unwrap();
        assert_eq!(seen, versions);
        assert!(!outcomes.iter().any(|outcome| outcome.degraded().any()));
    }
    assert_eq!(database.loads(), 3);
}

pub async fn an_entry_that_cannot_be_used_spoils_only_itself<S: Server>() {
    let (server, database) = scene::<S>(Gated::open());
    let discards = Discards::default();
    let service = discards.of::<S>(&server);
    let all = ["a", "b", "c", "d"];
    batch(&service, &database, &all, Refresh).await.unwrap();

    let mut damaged = server.value("row:b").unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    server.put("row:b", &damaged);
    put_newer(&server, "c", Bypass).await;
    discards.seen();

    let (outcomes, seen) = batch(&service, &database, &all, Refresh).await.unwrap();
    assert_eq!(seen, [Some(1); 4]);
    use Source::{Cache, Repository};
    assert_eq!(sources(&outcomes), [Cache, Repository, Repository, Cache]);
    use StoreResult::{NotTried, Stored};
    assert_eq!(stores(&outcomes), [NotTried, Stored, Stored, NotTried]);
    assert_eq!(
        discards.seen(),
        [
            ("row:b".to_owned(), MissReason::Damaged),
            ("row:c".to_owned(), MissReason::OtherSchema),
        ]
    );
    let (outcomes, _) = batch(&service, &database, &all, Fresh).await.unwrap();
    assert!(outcomes.iter().all(Outcome::is_hit));
    assert_eq!(discards.seen(), []);
}

/// Each holds the lease that the other one waits for, and each loads its own key first.
pub async fn overlapping_batches_of_two_processes_load_each_key_once<S: Server>() {
    let (server, database) = scene::<S>(Gated::closed());
    let (here, there) = (service::<S>(&server.url()), service::<S>(&server.url()));
    let one = spawn(&here, &database, &["a", "b", "c"], Refresh);
    database.entered(1).await;
    let other = spawn(&there, &database, &["d", "c", "b"], Refresh);
    database.entered(2).await;
    assert_eq!(database.queries(), [vec!["a", "b", "c"], vec!["d"]]);
    let third = spawn(&here, &database, &["d", "a"], Refresh);
    database.let_through(2);
    for reader in [one, other, third] {
        let (_, seen) = reader.await.unwrap().unwrap();
        assert!(seen.iter().all(|seen| *seen == Some(1)));
    }
    assert_eq!(database.loads(), 2);
    assert_eq!(here.expander().loads_in_flight(), 0);
    assert_eq!(there.expander().loads_in_flight(), 0);
}

pub async fn what_another_process_does_not_finish_is_loaded_after_a_while<S: Server>() {
    let (server, database) = scene::<S>(Gated::closed());
    let here = service::<S>(&server.url());
    let there = waiting(&server, Duration::from_millis(50));
    let stuck = spawn(&here, &database, &["a", "b"], Refresh);
    database.entered(1).await;
    let open = Gated::open();
    for id in ["a", "b", "c"] {
        open.set(id, 2);
    }
    let (outcomes, seen) = batch(&there, &open, &["b", "c", "a"], Refresh)
        .await
        .unwrap();
    assert_eq!(seen, [Some(2); 3]);
    assert_eq!(stores(&outcomes), [StoreResult::Stored; 3]);
    assert_eq!(open.queries(), [vec!["c"], vec!["b", "a"]]);
    database.let_through(1);
    let (outcomes, seen) = stuck.await.unwrap().unwrap();
    assert_eq!(seen, [Some(1); 2]);
    assert_eq!(stores(&outcomes), [StoreResult::Fenced; 2]);
    let (_, seen) = batch(&here, &open, &["a", "b"], Fresh).await.unwrap();
    assert_eq!(seen, [Some(2); 2]);
}

/// As soon as the other's lease is gone, not after the whole wait.
pub async fn what_another_process_gives_up_is_loaded_at_once<S: Server>() {
    let (server, database) = scene::<S>(Gated::closed());
    let here = service::<S>(&server.url());
    let there = waiting(&server, Duration::from_secs(3_600));
    let gives_up = spawn(&here, &database, &["a", "b"], Refresh);
    database.entered(1).await;
    let waits = spawn(&there, &database, &["a", "b"], Refresh);
    eventually_async("it has boarded", PATIENCE, || {
        there.expander().loads_in_flight() == 2
    })
    .await;
    gives_up.abort();
    let loads = || database.loads() >= 2;
    eventually_async("it loads for itself", PATIENCE, loads).await;
    // In one query or in two: it may see that one lease is gone before it sees the other.
    database.let_through(2);
    let (outcomes, seen) = waits.await.unwrap().unwrap();
    assert_eq!(seen, [Some(1); 2]);
    assert_eq!(stores(&outcomes), [StoreResult::Stored; 2]);
}

pub async fn an_invalidation_elsewhere_fences_only_its_key<S: Server>() {
    for strategy in [Refresh, Invalidate, Bypass] {
        let (server, database) = scene::<S>(Gated::closed());
        let (here, there) = (service::<S>(&server.url()), service::<S>(&server.url()));
        let slow = spawn(&here, &database, &["a", "b", "c"], strategy);
        database.entered(1).await;
        database.set("b", 2);
        let keys = ["b".to_owned(), "d".to_owned()];
        let done = there.invalidate_many::<Row>(&keys).await.unwrap();
        assert_eq!(done, Invalidated::Done);
        database.let_through(1);
        let (outcomes, seen) = slow.await.unwrap().unwrap();
        assert_eq!(seen, [Some(1); 3]);
        use StoreResult::{Fenced, Stored};
        assert_eq!(stores(&outcomes), [Stored, Fenced, Stored], "{strategy}");
        let (_, seen) = batch(&there, &database, &["a", "b", "c"], Fresh)
            .await
            .unwrap();
        assert_eq!(seen, [Some(1), None, Some(1)], "{strategy}");
    }
}

pub async fn a_dropped_batch_leaves_no_placeholders<S: Server>() {
    let (server, database) = scene::<S>(Gated::closed());
    let service = service::<S>(&server.url());
    let exists = || {
        let keys = ["row:a", "row:b", "row:c"];
        keys.map(|key| server.value(key).is_some())
    };
    let dropped = spawn(&service, &database, &["a", "b", "c"], Refresh);
    database.entered(1).await;
    assert_eq!(exists(), [true; 3]);
    dropped.abort();
    eventually_async("they are released", Duration::from_secs(5), || {
        exists() == [false; 3]
    })
    .await;
    assert_eq!(service.expander().loads_in_flight(), 0);
}

pub async fn a_server_that_is_away_costs_no_answer<S: Server>() {
    let (server, database) = scene::<S>(Gated::open());
    let service = service_by_default::<S>(&server.url());
    let all = ["a", "b", "c"];
    batch(&service, &database, &all, Refresh).await.unwrap();
    server.kill();
    let loads = database.loads();
    let (outcomes, seen) = batch(&service, &database, &all, Refresh).await.unwrap();
    assert_eq!(seen, [Some(1); 3]);
    assert!(outcomes.iter().all(|outcome| outcome.degraded().read));
    assert_eq!(database.loads(), loads + 1, "one load for all of them");

    database.set("b", 2);
    let (outcomes, seen) = batch(&service, &database, &all, Invalidate).await.unwrap();
    assert_eq!(seen, [Some(1), Some(2), Some(1)]);
    let pending = |outcome: &Outcome| outcome.degraded().invalidation_pending;
    assert!(outcomes.iter().all(pending));
    let keys = ["a".to_owned(), "d".to_owned()];
    let pending = service.invalidate_many::<Row>(&keys).await.unwrap();
    assert_eq!(pending, Invalidated::Pending);
    assert_eq!(S::health(&service).pending_invalidations, 4);

    server.restart();
    eventually_async("the queue is empty", Duration::from_secs(20), || {
        S::health(&service).pending_invalidations == 0
    })
    .await;
    let (_, seen) = call(&service, &database, "b", Refresh).await.unwrap();
    assert_eq!(seen, Some(2));
}
