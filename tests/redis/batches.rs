//! Batches: few round trips, whatever their size, and independent keys.

use std::sync::Arc;
use std::time::Duration;

use cache_kit::CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::{
    ByteStore, HEAD_PREFIXES, Invalidated, MissReason, RedisBackend, RedisStore,
};
use cache_kit::observability::StoreResult;
use cache_kit::{CacheExpander, CacheStrategy, Outcome, Result, SharedFeeder, Source, repository};
use cache_kit_tests::servers::{Command, Proxy, RedisServer, Trick, eventually_async};
use cache_kit_tests::{Gated, Row};
use tokio::task::JoinHandle;

use super::bytes::{Discards, NewerRow};
use super::{PATIENCE, Service, call, config, service, service_by_default};

type Answer = Result<(Vec<Outcome>, Vec<Option<u64>>)>;

async fn batch(
    service: &Service,
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
        let row: Arc<Row> = feeder.entity?;
        assert_eq!(row.id, feeder.id, "a mix-up");
        Some(row.version)
    };
    Ok((outcomes, feeders.into_iter().map(version).collect()))
}

fn spawn(
    service: &Service,
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
fn scene(database: Gated) -> (RedisServer, Gated) {
    for id in ["a", "b", "c", "d"] {
        database.set(id, 1);
    }
    (RedisServer::start(), database)
}

fn is_claim(command: &Command) -> bool {
    command.is("EVALSHA") && command.has_arg(HEAD_PREFIXES[0])
}

fn is_no_claim(command: &Command) -> bool {
    command.is("EVALSHA") && !is_claim(command)
}

/// While the first answer of a pass is delayed, all commands of the pass are sent.
#[tokio::test]
async fn a_thousand_missing_keys_cost_three_round_trips() {
    let (server, database) = scene(Gated::open());
    let proxy = Proxy::in_front_of(server.addr());
    let service = service(&server.url_through(&proxy));
    // Loads the scripts.
    batch(&service, &database, &["a", "nobody"], Refresh)
        .await
        .unwrap();

    let ids: Vec<String> = (0..1_000).map(|n| format!("n{n}")).collect();
    for id in &ids {
        database.set(id, 7);
    }
    let look_ups = ids.len().div_ceil(RedisStore::KEYS_AT_ONCE);
    proxy.reset_counts();
    let look_up = proxy.on_next(|command| command.is("MGET"), Trick::HoldAnswer);
    let leases = proxy.on_next(is_claim, Trick::HoldAnswer);
    let stores = proxy.on_next(is_no_claim, Trick::HoldAnswer);
    let reader = {
        let (service, database) = (service.clone(), database.clone());
        tokio::spawn(async move {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            batch(&service, &database, &ids, Refresh).await
        })
    };
    for (pass, command, seen) in [
        (look_up, "MGET", look_ups),
        (leases, "EVALSHA", 1_000),
        (stores, "EVALSHA", 2_000),
    ] {
        pass.sprung().await;
        let all = || proxy.seen(command) == seen;
        eventually_async("all of them are sent", Duration::from_secs(10), all).await;
        pass.release();
    }
    let (outcomes, seen) = reader.await.unwrap().unwrap();
    assert!(seen.iter().all(|seen| *seen == Some(7)));
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.store() == StoreResult::Stored)
    );
    assert_eq!(database.loads(), 2);
    let counts: Vec<_> = proxy.counts().into_iter().collect();
    assert_eq!(
        counts,
        [("EVALSHA".to_owned(), 2_000), ("MGET".to_owned(), look_ups)]
    );
}

#[tokio::test]
async fn order_duplicates_and_holes_in_one_look_up() {
    let (server, database) = scene(Gated::open());
    let (here, there) = (service(&server.url()), service(&server.url()));
    batch(&here, &database, &["a", "b"], Refresh).await.unwrap();
    server.reset_stats();
    let ids = ["c", "b", "nobody", "a", "c", "b"];
    let (outcomes, seen) = batch(&there, &database, &ids, Refresh).await.unwrap();
    assert_eq!(seen, [Some(1), Some(1), None, Some(1), Some(1), Some(1)]);
    use Source::{Cache, Repository};
    assert_eq!(
        sources(&outcomes),
        [Repository, Cache, Repository, Cache, Repository, Cache]
    );
    let stats = server.commandstats();
    assert_eq!((stats.get("mget"), stats.get("get")), (Some(&1), None));
    assert_eq!(database.queries()[1..], [["c", "nobody"]]);
    assert_eq!(
        server.command(&["EXISTS", "row:nobody"]).integer(),
        Some(0),
        "the lease of an absent row is released"
    );
}

#[tokio::test]
async fn more_keys_than_are_sent_at_once() {
    let (server, database) = scene(Gated::open());
    let service = service(&server.url());
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

#[tokio::test]
async fn an_entry_that_cannot_be_used_spoils_only_itself() {
    let (server, database) = scene(Gated::open());
    let config = config(&server.url()).set(|encoded| encoded.with_operation_deadline(PATIENCE));
    let discards = Discards::default();
    let service: Service = CacheExpander::new(RedisBackend::new(config).unwrap())
        .with_metrics(Box::new(discards.clone()))
        .into();
    let all = ["a", "b", "c", "d"];
    batch(&service, &database, &all, Refresh).await.unwrap();

    let mut whole = server.command(&["GET", "row:b"]).bytes().unwrap().to_vec();
    *whole.last_mut().unwrap() ^= 1;
    server.command(&[b"SET".as_slice(), b"row:b", &whole]);
    let newer = repository::from_fn(|id: &String| {
        let id = id.clone();
        async move { Ok(Some(NewerRow { id })) }
    });
    // In another process: one service refuses a second type under a prefix.
    let other = super::service(&server.url());
    let mut feeder = SharedFeeder::<NewerRow>::new("c".to_owned());
    other.execute(&mut feeder, &newer, Bypass).await.unwrap();
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
#[tokio::test]
async fn overlapping_batches_of_two_processes_load_each_key_once() {
    let (server, database) = scene(Gated::closed());
    let (here, there) = (service(&server.url()), service(&server.url()));
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

#[tokio::test]
async fn what_another_process_does_not_finish_is_loaded_after_a_while() {
    let (server, database) = scene(Gated::closed());
    let here = service(&server.url());
    let backend = RedisBackend::new(
        config(&server.url()).set(|encoded| encoded.with_operation_deadline(PATIENCE)),
    );
    let there: Service = CacheExpander::new(backend.unwrap())
        .with_lease_wait(Duration::from_millis(50))
        .into();
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
#[tokio::test]
async fn what_another_process_gives_up_is_loaded_at_once() {
    let (server, database) = scene(Gated::closed());
    let here = service(&server.url());
    let patient = config(&server.url()).set(|encoded| encoded.with_operation_deadline(PATIENCE));
    let there: Service = CacheExpander::new(RedisBackend::new(patient).unwrap())
        .with_lease_wait(Duration::from_secs(3_600))
        .into();
    let gives_up = spawn(&here, &database, &["a", "b"], Refresh);
    database.entered(1).await;
    let waits = spawn(&there, &database, &["a", "b"], Refresh);
    eventually_async("it has boarded", PATIENCE, || {
        there.expander().loads_in_flight() == 2
    })
    .await;
    gives_up.abort();
    let loads = || database.loads() == 2;
    eventually_async("it loads for itself", PATIENCE, loads).await;
    database.let_through(1);
    let (outcomes, seen) = waits.await.unwrap().unwrap();
    assert_eq!(seen, [Some(1); 2]);
    assert_eq!(stores(&outcomes), [StoreResult::Stored; 2]);
}

#[tokio::test]
async fn an_invalidation_elsewhere_fences_only_its_key() {
    for strategy in [Refresh, Invalidate, Bypass] {
        let (server, database) = scene(Gated::closed());
        let (here, there) = (service(&server.url()), service(&server.url()));
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

#[tokio::test]
async fn a_dropped_batch_leaves_no_placeholders() {
    let (server, database) = scene(Gated::closed());
    let service = service(&server.url());
    let exists = || {
        let exists = server.command(&["EXISTS", "row:a", "row:b", "row:c"]);
        exists.integer().unwrap()
    };
    let dropped = spawn(&service, &database, &["a", "b", "c"], Refresh);
    database.entered(1).await;
    assert_eq!(exists(), 3);
    dropped.abort();
    eventually_async("they are released", Duration::from_secs(5), || {
        exists() == 0
    })
    .await;
    assert_eq!(service.expander().loads_in_flight(), 0);
}

#[tokio::test]
async fn a_server_that_is_away_costs_no_answer() {
    let (server, database) = scene(Gated::open());
    let service = service_by_default(&server.url());
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
    assert_eq!(service.backend().health().pending_invalidations, 4);

    server.restart();
    eventually_async("the queue is empty", Duration::from_secs(20), || {
        service.backend().health().pending_invalidations == 0
    })
    .await;
    let (_, seen) = call(&service, &database, "b", Refresh).await.unwrap();
    assert_eq!(seen, Some(2));
}
