//! A store that cannot do its work is noticed by a service that has nothing but a subscriber: at once,
//! in few lines, and without keys and values.

use std::time::Duration;

use cache_kit::CacheEntity;
use cache_kit::repository::from_fn;
use cache_kit_tests::noticed::{SECRET, VALUE, lines, service, the_line, work};
use cache_kit_tests::row;
use cache_kit_tests::servers::{Server, eventually_async, free_port};
use cache_kit_tests::traced::{Traced, trace};
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;

/// Host and port of a URL.
fn address(url: &str) -> &str {
    url.split_once("://").unwrap().1
}

pub async fn a_dead_store_and_its_return<S: Server>() {
    let server = S::start();
    let service = service(&server.url());
    server.kill();
    let (traced, _guard) = trace(LevelFilter::INFO);
    work(&service).await;
    let node = format!("cache.node={}", address(&server.url()));
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
    all_clear(&traced, &node).await;
}

/// It takes back that the store failed, and that invalidations wait.
async fn all_clear(traced: &Traced, node: &str) {
    let all_clears = ["answers again", "no invalidation waits"];
    let said = || (all_clears.iter()).all(|said| !traced.lines_with(said).is_empty());
    eventually_async("the store is back", Duration::from_secs(20), said).await;
    for said in all_clears {
        the_line(&traced.lines(), &["INFO", said, node]);
    }
}

/// Too short for the breaker to open.
pub async fn a_single_failure<S: Server>() {
    let server = S::start();
    let service = service(&server.url());
    let rows = service.repository(from_fn(|id: &String| {
        std::future::ready(Ok(Some(row(id, VALUE))))
    }));
    server.kill();
    let (traced, _guard) = trace(LevelFilter::INFO);
    rows.invalidate(&SECRET.to_owned()).await.unwrap();
    server.restart();
    let node = format!("cache.node={}", address(&server.url()));
    all_clear(&traced, &node).await;
    let lines = lines(&traced);
    the_line(&lines, &["WARN", "the cache store failed", &node]);
    the_line(&lines, &["WARN", "an invalidation has not reached"]);
    assert_eq!(lines.len(), 4, "{lines:#?}");
}

pub async fn a_store_that_is_misspelt<S: Server>() {
    let (traced, _guard) = trace(LevelFilter::INFO);
    let server = S::start();
    let scheme = server.url().replace(address(&server.url()), "");
    for host in [
        "no-such-host.invalid:6379".to_owned(),
        format!("127.0.0.1:{}", free_port()),
    ] {
        traced.clear();
        work(&service(&format!("{scheme}{host}"))).await;
        let node = format!("cache.node={host}");
        the_line(&lines(&traced), &["WARN", "the cache store failed", &node]);
    }
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
    Circle { radius: u64 },
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

pub async fn a_type_that_cannot_be_stored<S: Server>() {
    let server = S::start();
    let service = service(&server.url());
    let (traced, _guard) = trace(LevelFilter::INFO);
    let shapes = service.repository(from_fn(|id: &String| {
        std::future::ready(Ok(Some(Shape {
            id: id.clone(),
            outline: Outline::Circle { radius: VALUE },
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

pub async fn entries_of_another_schema_that_pile_up<S: Server>() {
    let server = S::start();
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

pub async fn nothing_is_said_where_nothing_is_wrong<S: Server>() {
    let server = S::start();
    let (traced, _guard) = trace(LevelFilter::INFO);
    let service = service(&server.url());
    work(&service).await;
    work(&service).await;
    let lines = traced.lines();
    let which = format!("cache.nodes={} ", address(&server.url()));
    the_line(&lines, &["INFO", "a cache is set up", &which]);
    assert_eq!(lines.len(), 1, "{lines:#?}");
}
