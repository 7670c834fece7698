//! What one server answers when it cannot do a command now, or not at all. The other answers are in
//! `failures` (out of memory, a password, a replica), `refusals` (rights) and `late` (scripts).

use std::time::Duration;

use cache_kit::CacheStrategy::{Fresh, Refresh};
use cache_kit::backend::Invalidated;
use cache_kit::observability::StoreResult;
use cache_kit::{SharedFeeder, Source};
use cache_kit_tests::calls::{answers_from_the_repository, is_hit, serves_again};
use cache_kit_tests::servers::{RedisCluster, RedisServer, eventually};
use cache_kit_tests::{Gated, Row};

use super::{PATIENCE, Service, call, scene, service, service_by_default};

const LIMIT: Duration = Duration::from_secs(10);

/// The cache only costs time, and says why in its health.
async fn stands_aside(service: &Service, database: &Gated, code: &str) {
    answers_from_the_repository(service, database).await;
    let error = call(service, database, "k", Fresh).await.unwrap_err();
    let health = service.backend().health();
    let said = format!("{error} {:?}", health.last_error);
    assert!(said.contains(code), "{said}");
    assert_eq!(health.last_refusal, None, "it is no refusal of a key");
}

#[tokio::test]
async fn a_server_that_loads_its_data_is_waited_for() {
    let database = Gated::open();
    database.set("k", 1);
    let server = RedisServer::options()
        .args([
            "--enable-debug-command",
            "local",
            "--loading-process-events-interval-bytes",
            "1024",
            "--rdbcompression",
            "no",
        ])
        .start();
    let service = service_by_default(&server.url());
    call(&service, &database, "k", Refresh).await.unwrap();
    for number in 0..1_000 {
        let key = format!("filler:{number}");
        assert!(server.command(&["SET", &key, &"x".repeat(2_000)]).is_ok());
    }
    // Each key takes its time when it is loaded.
    assert!(
        server
            .command(&["CONFIG", "SET", "key-load-delay", "50000"])
            .is_ok()
    );
    let reload = std::thread::spawn({
        let mut connection = server.connect(PATIENCE).unwrap();
        move || connection.command(&["DEBUG", "RELOAD"])
    });
    eventually("it loads", LIMIT, || {
        let answer = server.command(&["GET", "any"]);
        answer
            .error()
            .is_some_and(|error| error.starts_with("LOADING"))
    });
    database.set("k", 2);
    stands_aside(&service, &database, "LOADING").await;
    assert!(
        server
            .command(&["CONFIG", "SET", "key-load-delay", "0"])
            .is_ok()
    );
    assert!(reload.join().unwrap().unwrap().is_ok());
    serves_again::<RedisServer>(&service, &database, "k", 2).await;
}

#[tokio::test]
async fn a_server_that_is_busy_with_a_script_is_waited_for() {
    let database = Gated::open();
    database.set("k", 1);
    let server = RedisServer::options()
        .args(["--busy-reply-threshold", "1"])
        .start();
    let service = service_by_default(&server.url());
    call(&service, &database, "k", Refresh).await.unwrap();
    let busy = std::thread::spawn({
        let mut connection = server.connect(PATIENCE).unwrap();
        move || connection.command(&["EVAL", "while true do end", "0"])
    });
    eventually("it is busy", LIMIT, || {
        let answer = server.command(&["GET", "any"]);
        answer
            .error()
            .is_some_and(|error| error.starts_with("BUSY"))
    });
    database.set("k", 2);
    stands_aside(&service, &database, "BUSY").await;
    assert!(server.command(&["SCRIPT", "KILL"]).is_ok());
    assert!(busy.join().unwrap().unwrap().error().is_some());
    serves_again::<RedisServer>(&service, &database, "k", 2).await;
}

/// A replica that serves nothing while it is cut off.
#[tokio::test]
async fn a_replica_without_its_master_is_no_server() {
    let (server, database) = scene();
    let master = RedisServer::start();
    let service = service_by_default(&server.url());
    call(&service, &database, "k", Refresh).await.unwrap();
    server.become_replica_of(&master);
    assert!(
        server
            .command(&["CONFIG", "SET", "replica-serve-stale-data", "no"])
            .is_ok()
    );
    master.kill();
    eventually("it knows that its master is gone", LIMIT, || {
        let answer = server.command(&["GET", "any"]);
        answer
            .error()
            .is_some_and(|error| error.starts_with("MASTERDOWN"))
    });
    database.set("k", 2);
    stands_aside(&service, &database, "MASTERDOWN").await;
    server.become_master();
    serves_again::<RedisServer>(&service, &database, "k", 2).await;
}

#[tokio::test]
async fn scripts_that_are_gone_are_loaded_again() {
    let (server, database) = scene();
    let service = service(&server.url());
    for number in 0..3 {
        let id = format!("n{number}");
        database.set(&id, 1);
        let (outcome, _) = call(&service, &database, &id, Refresh).await.unwrap();
        assert_eq!(outcome.store(), StoreResult::Stored);
        assert!(server.command(&["SCRIPT", "FLUSH"]).is_ok());
    }
    let health = service.backend().health();
    assert_eq!((health.last_error, health.last_refusal), (None, None));
}

fn cluster_of_one() -> RedisServer {
    RedisServer::options()
        .args([
            "--cluster-enabled",
            "yes",
            "--cluster-config-file",
            "nodes.conf",
        ])
        .start()
}

/// A cluster of one node keeps every key, and takes a command for keys of one slot only.
#[tokio::test]
async fn a_cluster_of_one_node_is_used_like_one_server() {
    let server = cluster_of_one();
    let database = Gated::open();
    database.set("k", 1);
    let service = service_by_default(&server.url());
    stands_aside(&service, &database, "CLUSTERDOWN").await;
    assert!(
        server
            .command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"])
            .is_ok()
    );
    database.set("k", 2);
    serves_again::<RedisServer>(&service, &database, "k", 2).await;

    let ids: Vec<_> = (0..100).map(|number| format!("n{number}")).collect();
    for id in &ids {
        database.set(id, 1);
    }
    for source in [Source::Repository, Source::Cache] {
        let mut feeders: Vec<_> = ids
            .iter()
            .map(|id| SharedFeeder::<Row>::new(id.clone()))
            .collect();
        let outcomes = service.execute_many(&mut feeders, &database, Refresh).await;
        for outcome in outcomes.unwrap() {
            assert_eq!(outcome.source(), source, "{outcome:?}");
        }
    }
    let done = service.invalidate_many::<Row>(&ids).await.unwrap();
    assert_eq!(done, Invalidated::Done);
    assert_eq!(server.command(&["DBSIZE"]).integer(), Some(1));
    assert!(service.backend().health().available);
}

/// It would serve some keys and refuse others.
#[tokio::test]
async fn a_node_of_a_larger_cluster_is_not_used_like_one_server() {
    let cluster = RedisCluster::with(2, 0, &RedisServer::options());
    let [node, other] = cluster.nodes() else {
        panic!("there are two");
    };
    let database = Gated::open();
    let ids: Vec<_> = (0..20).map(|number| format!("n{number}")).collect();
    let service = service_by_default(&node.url());
    for id in &ids {
        database.set(id, 1);
        let (outcome, seen) = call(&service, &database, id, Refresh).await.unwrap();
        // A first key may be one of this node.
        assert_eq!((outcome.source(), seen), (Source::Repository, Some(1)));
    }
    for id in &ids {
        let error = call(&service, &database, id, Fresh).await.unwrap_err();
        assert_eq!(error.kind(), cache_kit::ErrorKind::Backend);
    }
    let health = service.backend().health();
    let said = health.last_error.unwrap();
    assert!(
        said.contains("MOVED") && said.contains("redis+cluster://"),
        "{said}"
    );
    assert!(!said.contains(&other.port().to_string()), "{said}");
    assert!(!health.available && health.last_refusal.is_none());

    let ours = super::service(&cluster.url());
    for id in &ids {
        call(&ours, &database, id, Refresh).await.unwrap();
        assert!(is_hit(&ours, &database, id).await);
    }
}
