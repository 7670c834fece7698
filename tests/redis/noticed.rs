//! A store that cannot do its work is noticed by a service that has nothing but a subscriber: at once,
//! in few lines, and without keys and values.

use std::time::Duration;

use cache_kit::backend::AnyBackend;
use cache_kit::repository::from_fn;
use cache_kit::{CacheEntity, CacheService};
use cache_kit_tests::row;
use cache_kit_tests::servers::{RedisServer, eventually_async, free_port};
use cache_kit_tests::traced::{Traced, trace};
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;

const SECRET: &str = "id-of-someone";

/// Reads a few hundred rows and invalidates some, as a service does that knows nothing of its cache.
async fn work(service: &CacheService<AnyBackend>) {
    let rows = service.repository(from_fn(|id: &String| {
        std::future::ready(Ok(Some(row(id, 42_424_242))))
    }));
    for n in 0..300 {
        let id = format!("{SECRET}{n}");
        let found = rows.get(&id).await.unwrap();
        assert!(found.is_some(), "the repository answers");
        if n % 10 == 0 {
            rows.invalidate(&id).await.unwrap();
        }
    }
}

fn service(url: &str) -> CacheService<AnyBackend> {
    CacheService::new(AnyBackend::from_url(url).unwrap())
}

/// The lines, which are few, and none of which has a key, a value or a password.
fn lines(traced: &Traced) -> Vec<String> {
    let lines = traced.lines();
    assert!(!lines.is_empty() && lines.len() <= 8, "{lines:#?}");
    for line in &lines {
        for part in [SECRET, "42424242", "pw-of-app"] {
            assert!(!line.contains(part), "{line}");
        }
        assert!(line.contains(" cache_kit: "), "{line}");
    }
    lines
}

/// The one line with all of `parts`.
fn the_line<'l>(lines: &'l [String], parts: &[&str]) -> &'l str {
    let fits = |line: &&String| parts.iter().all(|part| line.contains(part));
    let found: Vec<&String> = lines.iter().filter(fits).collect();
    assert_eq!(found.len(), 1, "{parts:?} in {lines:#?}");
    found[0]
}

#[tokio::test]
async fn a_dead_store_and_its_return() {
    let server = RedisServer::start();
    let service = service(&server.url());
    server.kill();
    let (traced, _guard) = trace(LevelFilter::INFO);
    work(&service).await;
    let node = format!("cache.node=127.0.0.1:{}", server.port());
    let dead = lines(&traced);
    the_line(
        &dead,
        &[
            "WARN",
            "the cache store failed; the repository answers",
            &node,
        ],
    );
    the_line(&dead, &["WARN", "nothing is sent to it", &node]);
    the_line(
        &dead,
        &[
            "WARN",
            "an invalidation has not reached",
            "cache.entity=row",
        ],
    );

    traced.clear();
    server.restart();
    let back = || !traced.lines_with("answers again").is_empty();
    eventually_async("the store is back", Duration::from_secs(20), back).await;
    the_line(&traced.lines(), &["INFO", "answers again", &node]);
}

#[tokio::test]
async fn a_store_that_is_misspelt() {
    let (traced, _guard) = trace(LevelFilter::INFO);
    for host in [
        "no-such-host.invalid:6379".to_owned(),
        format!("127.0.0.1:{}", free_port()),
    ] {
        traced.clear();
        work(&service(&format!("redis://{host}"))).await;
        let node = format!("cache.node={host}");
        the_line(&lines(&traced), &["WARN", "the cache store failed", &node]);
    }
}

#[tokio::test]
async fn a_wrong_password() {
    let server = RedisServer::options().password("right").start();
    let (traced, _guard) = trace(LevelFilter::INFO);
    work(&service(&format!(
        "redis://:pw-of-app@127.0.0.1:{}",
        server.port()
    )))
    .await;
    the_line(
        &lines(&traced),
        &["the cache store failed", "password is refused"],
    );
}

#[tokio::test]
async fn a_store_that_is_read_only() {
    let (master, replica) = (RedisServer::start(), RedisServer::start());
    replica.become_replica_of(&master);
    let (traced, _guard) = trace(LevelFilter::INFO);
    work(&service(&replica.url())).await;
    the_line(
        &lines(&traced),
        &["the cache store failed", "takes no writes"],
    );
}

#[tokio::test]
async fn a_command_that_is_refused() {
    let server = RedisServer::start();
    let (traced, _guard) = trace(LevelFilter::INFO);
    for (rule, operation, command) in [
        ("-del", "invalidate", "DEL"),
        ("-set", "lease", "SET"),
        ("-get", "get", "GET"),
    ] {
        let rules = [
            "ACL",
            "SETUSER",
            "app",
            "reset",
            "on",
            ">pw-of-app",
            "~*",
            "+@all",
            rule,
        ];
        assert!(server.command(&rules).is_ok());
        server.flush();
        traced.clear();
        let url = format!("redis://app:pw-of-app@127.0.0.1:{}", server.port());
        work(&service(&url)).await;
        let operation = format!("cache.operation={operation}");
        let lines = lines(&traced);
        let refused: Vec<_> = lines
            .iter()
            .filter(|line| line.contains("refused a command") && line.contains(&operation))
            .collect();
        assert!(
            refused
                .iter()
                .any(|line| line.contains("NOPERM") && line.contains(command)),
            "{rule}: {lines:#?}"
        );
    }
}

#[tokio::test]
async fn a_store_without_room() {
    let server = RedisServer::options().max_memory(1, "noeviction").start();
    let (traced, _guard) = trace(LevelFilter::INFO);
    work(&service(&server.url())).await;
    the_line(
        &lines(&traced),
        &["refused a command", "OOM", "cache.operation=lease"],
    );
}

/// A type that no format without field types can bring back.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Shape {
    id: String,
    outline: Outline,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Outline {
    Circle { radius: u32 },
}

impl CacheEntity for Shape {
    type Key = String;

    fn cache_key(&self) -> String {
        self.id.clone()
    }

    fn cache_prefix() -> &'static str {
        "shape"
    }
}

#[tokio::test]
async fn a_type_that_cannot_be_stored() {
    let server = RedisServer::start();
    let service = service(&server.url());
    let (traced, _guard) = trace(LevelFilter::INFO);
    let shapes = service.repository(from_fn(|id: &String| {
        std::future::ready(Ok(Some(Shape {
            id: id.clone(),
            outline: Outline::Circle { radius: 42_424_242 },
        })))
    }));
    for n in 0..100 {
        shapes.get(&format!("{SECRET}{n}")).await.unwrap();
    }
    let lines = lines(&traced);
    let line = the_line(&lines, &["WARN", "not cached", "cache.entity=shape"]);
    assert!(line.contains("outline") && line.contains("Shape"), "{line}");
    assert_eq!(lines.len(), 1, "{lines:#?}");
}

/// Another version of [`Row`], as a deploy brings it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct NewRow {
    id: String,
    version: u64,
    comment: Option<String>,
}

impl CacheEntity for NewRow {
    type Key = String;

    fn cache_key(&self) -> String {
        self.id.clone()
    }

    fn cache_prefix() -> &'static str {
        "row"
    }
}

#[tokio::test]
async fn entries_of_another_schema_that_pile_up() {
    let server = RedisServer::start();
    let (old, new) = (service(&server.url()), service(&server.url()));
    let (traced, _guard) = trace(LevelFilter::INFO);
    let rows = old.repository(from_fn(|id: &String| {
        std::future::ready(Ok(Some(row(id, 1))))
    }));
    let new_rows = new.repository(from_fn(|id: &String| {
        std::future::ready(Ok(Some(NewRow {
            id: id.clone(),
            version: 1,
            comment: None,
        })))
    }));
    for n in 0..50 {
        let id = format!("{SECRET}{n}");
        rows.get(&id).await.unwrap();
        if n < 9 {
            new_rows.get(&id).await.unwrap();
            assert!(
                traced.lines().is_empty(),
                "a few are none: {:?}",
                traced.lines()
            );
        }
    }
    for n in 9..50 {
        new_rows.get(&format!("{SECRET}{n}")).await.unwrap();
    }
    let lines = lines(&traced);
    let line = the_line(
        &lines,
        &["WARN", "another schema", "cache.entity=row", "count=10"],
    );
    assert!(line.contains("another version of the service"), "{line}");
    assert_eq!(lines.len(), 1, "{lines:#?}");
}

#[tokio::test]
async fn nothing_is_said_where_nothing_is_wrong() {
    let server = RedisServer::start();
    let (traced, _guard) = trace(LevelFilter::INFO);
    let service = service(&server.url());
    work(&service).await;
    work(&service).await;
    assert!(traced.lines().is_empty(), "{:#?}", traced.lines());
}
