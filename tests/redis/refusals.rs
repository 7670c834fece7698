//! A server that refuses one key, one command or one user: everything else goes on.

use std::time::Duration;

use cache_kit::CacheStrategy::{Fresh, Invalidate, Refresh};
use cache_kit::backend::{CacheBackend, Invalidated, RedisBackend};
use cache_kit::observability::StoreResult;
use cache_kit::{CacheExpander, Source};
use cache_kit_tests::servers::{Proxy, RedisServer, eventually_async};
use cache_kit_tests::{Gated, Row};
use tokio::task::JoinSet;

use super::{PATIENCE, Service, call, config, scene, service};

const LIMIT: Duration = Duration::from_secs(20);

fn allow(server: &RedisServer, rules: &[&str]) {
    let words = [&["ACL", "SETUSER", "app", "on", ">pw"], rules].concat();
    assert!(server.command(&words).is_ok());
}

/// A backend of a user that may do what `rules` say.
fn backend(server: &RedisServer, rules: &[&str]) -> RedisBackend {
    allow(server, rules);
    let url = format!("redis://app:pw@127.0.0.1:{}", server.port());
    let config = config(&url).set(|encoded| encoded.with_operation_deadline(PATIENCE));
    RedisBackend::new(config).unwrap()
}

fn over(backend: &RedisBackend) -> Service {
    CacheExpander::new(backend.clone()).into()
}

/// A service whose keys begin with `other:`.
fn other_keys(backend: &RedisBackend) -> Service {
    let expander = CacheExpander::new(backend.clone());
    expander.with_namespace("other").unwrap().into()
}

fn id(n: u64) -> String {
    n.to_string()
}

async fn fill(service: &Service, database: &Gated, rows: u64) {
    for n in 0..rows {
        database.set(&id(n), n);
        let (outcome, _) = call(service, database, &id(n), Refresh).await.unwrap();
        assert_eq!(outcome.store(), StoreResult::Stored);
    }
}

async fn hits(service: &Service, database: &Gated, rows: u64) {
    for n in 0..rows {
        let (outcome, seen) = call(service, database, &id(n), Refresh).await.unwrap();
        assert!(outcome.is_hit() && seen == Some(n), "{n}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_refused_invalidation_withholds_its_own_key_alone() {
    for rules in [
        &["~row:*", "+@all"][..],
        &["%R~other:*", "~row:*", "+@all"],
        &["~*", "+@all", "-del"],
    ] {
        let (server, database) = scene();
        let whole = service(&server.url());
        fill(&whole, &database, 5).await;
        let backend = backend(&server, rules);
        let (service, other) = (over(&backend), other_keys(&backend));
        hits(&service, &database, 5).await;
        let done = other.invalidate::<Row>(&"k".to_owned()).await.unwrap();
        assert_eq!(done, Invalidated::Pending, "{rules:?}");
        for _ in 0..3 {
            hits(&service, &database, 5).await;
            let (outcome, _) = call(&other, &database, "k", Refresh).await.unwrap();
            assert_eq!(outcome.source(), Source::Repository);
            assert_ne!(outcome.store(), StoreResult::Stored);
        }
        let health = service.backend().health();
        assert!(health.available, "{health:?}");
        assert_eq!(
            (health.pending_invalidations, health.refused_invalidations),
            (1, 1)
        );
        let said = health.last_refusal.unwrap();
        assert!(said.contains("NOPERM for DEL"), "{said}");
        allow(&server, &["~*", "+@all"]);
        eventually_async("the invalidation is done", LIMIT, || {
            service.backend().health().pending_invalidations == 0
        })
        .await;
        call(&other, &database, "k", Refresh).await.unwrap();
        let (outcome, _) = call(&other, &database, "k", Refresh).await.unwrap();
        assert!(outcome.is_hit(), "{rules:?}");
    }
}

#[tokio::test]
async fn refused_keys_of_a_batch_are_their_own_affair() {
    let (server, database) = scene();
    let whole = service(&server.url());
    fill(&whole, &database, 40).await;
    let backend = backend(&server, &["~row:*", "+@all"]);
    let keys: Vec<String> = (0..40)
        .map(|n| match n % 7 {
            3 => format!("other:row:{n}"),
            _ => format!("row:{n}"),
        })
        .collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let now = cache_kit::clock::Clock::system().now();
    for round in 0..3 {
        let found = backend.get_many::<Row>(&keys, now).await;
        for (key, found) in keys.iter().zip(found) {
            assert_eq!(
                found.is_err(),
                key.starts_with("other"),
                "{round} {key}: {found:?}"
            );
        }
    }
    // The first one was refused as a whole; those after it are sent key by key at once.
    assert_eq!(server.commandstats().get("mget").copied().unwrap_or(0), 0);
    let said = backend.health().last_refusal.unwrap();
    assert!(said.contains("NOPERM for GET"), "{said}");
    let done = backend.invalidate_many::<Row>(&keys).await;
    for (key, done) in keys.iter().zip(done) {
        let expected = match key.starts_with("other") {
            true => Invalidated::Pending,
            false => Invalidated::Done,
        };
        assert_eq!(done.unwrap(), expected, "{key}");
    }
}

#[tokio::test]
async fn look_ups_that_travel_with_a_refused_one_are_answered() {
    let (server, database) = scene();
    let whole = service(&server.url());
    fill(&whole, &database, 60).await;
    let backend = backend(&server, &["~row:*", "+@all"]);
    let (service, other) = (over(&backend), other_keys(&backend));
    for _ in 0..3 {
        let mut calls = JoinSet::new();
        for n in 0..66 {
            let database = database.clone();
            let service = if n < 60 { &service } else { &other }.clone();
            calls.spawn(async move {
                let (outcome, _) = call(&service, &database, &id(n), Refresh).await.unwrap();
                (n, outcome.is_hit())
            });
        }
        while let Some(ended) = calls.join_next().await {
            let (n, hit) = ended.unwrap();
            assert_eq!(hit, n < 60, "{n}");
        }
    }
}

#[tokio::test]
async fn a_user_that_may_only_read_keeps_its_hits() {
    let (server, database) = scene();
    let whole = service(&server.url());
    fill(&whole, &database, 5).await;
    let service = over(&backend(&server, &["%R~row:*", "+@all"]));
    hits(&service, &database, 5).await;
    let done = service.invalidate::<Row>(&id(9)).await.unwrap();
    assert_eq!(done, Invalidated::Pending);
    hits(&service, &database, 5).await;
    let (outcome, _) = call(&service, &database, &id(4), Invalidate).await.unwrap();
    assert!(outcome.degraded().invalidation_pending);
    hits(&service, &database, 4).await;
}

#[tokio::test]
async fn the_queue_of_a_restricted_user_is_sent_after_an_outage() {
    let (server, database) = scene();
    let proxy = Proxy::in_front_of(server.addr());
    allow(&server, &["~row:*", "+@all", "-ping"]);
    let url = format!("redis://app:pw@127.0.0.1:{}", proxy.port());
    let service: Service = CacheExpander::new(RedisBackend::new(config(&url)).unwrap()).into();
    let whole = super::service(&server.url());
    fill(&whole, &database, 1).await;
    proxy.refuse();
    proxy.cut();
    for _ in 0..6 {
        let _ = call(&service, &database, "k", Refresh).await.unwrap();
    }
    let done = service.invalidate::<Row>(&id(0)).await.unwrap();
    assert_eq!(done, Invalidated::Pending);
    database.set(&id(0), 1);
    proxy.pass();
    eventually_async("the queue is empty", LIMIT, || {
        let health = service.backend().health();
        health.available && health.pending_invalidations == 0
    })
    .await;
    let (_, seen) = call(&whole, &database, &id(0), Refresh).await.unwrap();
    assert_eq!(seen, Some(1));
    assert_eq!(
        server.command(&["EXISTS", "cache-kit:ping"]).integer(),
        Some(0)
    );
}

#[tokio::test]
async fn a_missing_right_is_told_by_the_name_of_the_command() {
    for (right, told) in [
        ("-getrange", "NOPERM for GETRANGE"),
        ("-set", "NOPERM for SET"),
        ("-evalsha", "NOPERM for EVALSHA"),
    ] {
        let (server, database) = scene();
        let service = over(&backend(&server, &["~*", "+@all", right]));
        let (outcome, seen) = call(&service, &database, "k", Refresh).await.unwrap();
        assert_eq!((outcome.source(), seen), (Source::Repository, Some(1)));
        assert_ne!(outcome.store(), StoreResult::Stored);
        let health = service.backend().health();
        let said = health.last_refusal.clone().unwrap_or_default();
        assert!(
            health.available && said.contains(told),
            "{right}: {health:?}"
        );
        assert!(
            !said.contains("user executing") && !said.contains("permission"),
            "{said}"
        );
    }
}

/// The permissions that the docs of `RedisBackend` list.
const RIGHTS: [&str; 10] = [
    "resetkeys",
    "~row:*",
    "+get",
    "+mget",
    "+set",
    "+del",
    "+getrange",
    "+evalsha",
    "+script|load",
    "+ping",
];

#[tokio::test]
async fn the_rights_that_the_docs_list_are_enough() {
    let (server, database) = scene();
    let service = over(&backend(&server, &RIGHTS));
    fill(&service, &database, 20).await;
    hits(&service, &database, 20).await;
    let keys: Vec<String> = (0..20).map(|n| format!("row:{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let now = cache_kit::clock::Clock::system().now();
    let found = service.backend().get_many::<Row>(&keys, now).await;
    assert!(found.iter().all(Result::is_ok));
    database.set("k", 2);
    let (outcome, _) = call(&service, &database, "k", Invalidate).await.unwrap();
    assert_eq!(outcome.store(), StoreResult::Stored);
    let done = service.invalidate::<Row>(&"k".to_owned()).await.unwrap();
    assert_eq!(done, Invalidated::Done);
    let (outcome, _) = call(&service, &database, "absent", Refresh).await.unwrap();
    assert!(!outcome.degraded().any(), "{outcome:?}");
    let health = service.backend().health();
    assert_eq!((health.last_error, health.last_refusal), (None, None));
}

fn connections(server: &RedisServer) -> usize {
    let info = server.command(&["INFO", "stats"]).text().unwrap();
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("total_connections_received:"));
    line.unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn a_refused_login_is_a_failure_of_the_connection() {
    let (server, database) = scene();
    allow(&server, &["~*", "+@all"]);
    server.command(&["CONFIG", "SET", "requirepass", "right-horse"]);
    let server_side = || {
        let mut admin = cache_kit_tests::servers::Connection::open(server.addr(), LIMIT).unwrap();
        assert!(admin.command(&["AUTH", "right-horse"]).unwrap().is_ok());
        let info = admin.command(&["INFO", "stats"]).unwrap().text().unwrap();
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("total_connections_received:"));
        line.unwrap().trim().parse::<usize>().unwrap()
    };
    for url in [
        "redis://app:wrong-battery@",
        "redis://:wrong-battery@",
        "redis://",
    ] {
        let url = format!("{url}127.0.0.1:{}", server.port());
        let service = service(&url);
        let before = server_side();
        for _ in 0..200 {
            let (outcome, _) = call(&service, &database, "k", Refresh).await.unwrap();
            assert_eq!(outcome.source(), Source::Repository);
        }
        let made = server_side() - before;
        assert!(made <= 20, "{url}: {made} connections");
        let health = service.backend().health();
        assert!(!health.available, "{url}: {health:?}");
        let said = format!("{health:?} {service:?}");
        assert!(
            said.contains("password") && !said.contains("wrong-battery"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn servers_without_hello_are_spoken_to_in_resp2() {
    let database = Gated::open();
    database.set("k", 1);
    let server = RedisServer::options()
        .args(["--rename-command", "HELLO", ""])
        .start();
    let service = service(&server.url());
    call(&service, &database, "k", Refresh).await.unwrap();
    let (outcome, _) = call(&service, &database, "k", Fresh).await.unwrap();
    assert!(outcome.is_hit());
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named() {
    let (server, database) = scene();
    let service = service(&format!("{}/99", server.url()));
    let error = call(&service, &database, "k", Fresh).await.unwrap_err();
    assert!(error.to_string().contains("no database 99"), "{error}");
}

#[tokio::test]
async fn a_replica_as_the_endpoint_costs_few_connections_and_serves_nothing() {
    let (server, database) = scene();
    let master = RedisServer::start();
    server.become_replica_of(&master);
    let service = service(&server.url());
    let before = connections(&server);
    for n in 0..100 {
        database.set(&id(n), n);
        let (outcome, seen) = call(&service, &database, &id(n), Refresh).await.unwrap();
        assert_eq!((outcome.source(), seen), (Source::Repository, Some(n)));
    }
    let made = connections(&server) - before;
    assert!(made <= 20, "{made} connections");
    let health = service.backend().health();
    assert!(!health.available, "{health:?}");
    assert!(health.last_error.unwrap().contains("replica"));
    server.become_master();
    eventually_async("it takes writes again", LIMIT, || {
        service.backend().health().available
    })
    .await;
    call(&service, &database, "k", Refresh).await.unwrap();
    let (outcome, _) = call(&service, &database, "k", Refresh).await.unwrap();
    assert!(outcome.is_hit());
}
