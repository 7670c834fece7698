//! The built program, and its tables.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is what a test is for"
)]

use std::time::Duration;

use cache_kit_tests::servers::{MemcachedServer, RedisServer, eventually, free_port};
use cache_kit_tests::services::{Database, Program};
use sqlx::{Connection, SqliteConnection};
use tokio::runtime::{Builder, Runtime};

/// Generous: only a failing test waits this long.
const LIMIT: Duration = Duration::from_secs(30);

/// The tables, as another service sees them.
struct Tables {
    runtime: Runtime,
    connection: SqliteConnection,
}

impl Tables {
    fn open(database: &Database) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let connection = runtime.block_on(SqliteConnection::connect(&database.url()));
        Self {
            connection: connection.unwrap(),
            runtime,
        }
    }

    fn run(&mut self, sql: &str) {
        let done = sqlx::raw_sql(sql).execute(&mut self.connection);
        self.runtime.block_on(done).unwrap();
    }

    fn number(&mut self, sql: &str) -> Option<i64> {
        let found = sqlx::query_scalar(sql).fetch_one(&mut self.connection);
        self.runtime.block_on(found).unwrap()
    }

    /// Makes a change of a price, and waits until it is acknowledged.
    fn change(&mut self, sku: &str, cents: i64) {
        self.run(&format!(
            "INSERT INTO price_changes (sku, cents) VALUES ('{sku}', {cents})"
        ));
        eventually("the change is acknowledged", LIMIT, || {
            self.number("SELECT COUNT(*) FROM price_changes") == Some(0)
        });
    }

    /// Orders two of each, and waits for their totals.
    fn order(&mut self, skus: &[&str]) -> Vec<i64> {
        let rows: Vec<_> = skus.iter().map(|sku| format!("('{sku}', 2)")).collect();
        let rows = rows.join(", ");
        self.run(&format!("INSERT INTO orders (sku, quantity) VALUES {rows}"));
        eventually("the orders have totals", LIMIT, || {
            self.number("SELECT COUNT(*) FROM orders WHERE total_cents IS NULL") == Some(0)
        });
        let sql = format!(
            "SELECT total_cents FROM (SELECT id, total_cents FROM orders ORDER BY id DESC LIMIT {}) \
             ORDER BY id",
            skus.len()
        );
        let found = sqlx::query_scalar(&sql).fetch_all(&mut self.connection);
        self.runtime.block_on(found).unwrap()
    }
}

fn start(database: &Database, cache: Option<&str>) -> Program {
    let worker = Program::start(env!("CARGO_BIN_EXE_batch-worker"), database, cache);
    worker.says("ready");
    worker
}

fn stop(worker: &Program) {
    worker.terminate();
    worker.ends_well();
    assert!(worker.output().contains("stopped\n"), "{}", worker.output());
}

#[test]
fn batches_hit_and_a_change_counts_at_once() {
    let database = Database::new();
    let worker = start(&database, None);
    let mut tables = Tables::open(&database);
    let skus = ["teapot", "kettle", "teapot", "lamp"];
    assert_eq!(tables.order(&skus), [4_800, 7_800, 4_800, -1]);
    worker.says("priced 4 orders, 0 from the cache");
    assert_eq!(tables.order(&skus), [4_800, 7_800, 4_800, -1]);
    worker.says("priced 4 orders, 4 from the cache");

    tables.change("teapot", 2_500);
    // There is a price now where the absence of one was remembered.
    tables.change("lamp", 100);
    assert_eq!(tables.order(&skus), [5_000, 7_800, 5_000, 200]);
    drop(tables);
    stop(&worker);
    database.is_alone();
}

#[test]
fn a_change_that_a_dead_worker_committed_is_invalidated_by_the_next() {
    let redis = RedisServer::start();
    let database = Database::new();
    let worker = start(&database, Some(&redis.url()));
    let mut tables = Tables::open(&database);
    assert_eq!(tables.order(&["teapot"]), [4_800]);
    stop(&worker);
    // As one leaves it that is killed between the commit and the invalidation.
    tables.run(
        "BEGIN; UPDATE prices SET cents = 2500 WHERE sku = 'teapot'; \
         INSERT INTO price_changes (sku, cents, committed) VALUES ('teapot', 2500, TRUE); COMMIT",
    );
    let worker = start(&database, Some(&redis.url()));
    worker.says("prices changed: 1");
    assert_eq!(tables.order(&["teapot"]), [5_000]);
    stop(&worker);
}

/// Whichever of the two makes a change, both use the new price once it is acknowledged.
fn two_workers_share(url: &str) {
    let database = Database::new();
    let workers = [start(&database, Some(url)), start(&database, Some(url))];
    let mut tables = Tables::open(&database);
    for round in 1..20 {
        tables.change("teapot", round);
        assert_eq!(tables.order(&["teapot"; 5]), [round * 2; 5]);
    }
    // Both may have invalidated the last change, the second of them after the price was loaded.
    let hits = |worker: &Program| worker.output().contains(" 5 from the cache");
    eventually("orders hit", LIMIT, || {
        assert_eq!(tables.order(&["teapot"; 5]), [38; 5]);
        workers.iter().any(hits)
    });
    drop(tables);
    for worker in &workers {
        stop(worker);
    }
    database.is_alone();
}

#[test]
fn two_workers_share_a_redis() {
    let redis = RedisServer::start();
    two_workers_share(&redis.url());
}

#[test]
fn two_workers_share_a_memcached() {
    let memcached = MemcachedServer::start();
    two_workers_share(&memcached.url());
}

#[test]
fn without_its_redis_it_works_and_acknowledges_when_that_is_back() {
    let redis = RedisServer::options().password("hunter2").start();
    let database = Database::new();
    redis.kill();
    let worker = start(&database, Some(&redis.url()));
    worker.says("ready, without the cache: ");
    let mut tables = Tables::open(&database);
    assert_eq!(tables.order(&["teapot"]), [4_800]);
    tables.run("INSERT INTO price_changes (sku, cents) VALUES ('teapot', 2500)");
    eventually("the change is committed", LIMIT, || {
        tables.number("SELECT COUNT(*) FROM price_changes WHERE committed") == Some(1)
    });
    assert_eq!(tables.order(&["teapot"]), [5_000]);
    assert_eq!(tables.number("SELECT COUNT(*) FROM price_changes"), Some(1));
    redis.restart();
    eventually("the change is acknowledged", LIMIT, || {
        tables.number("SELECT COUNT(*) FROM price_changes") == Some(0)
    });
    assert_eq!(tables.order(&["teapot"]), [5_000]);
    stop(&worker);
    assert!(!worker.output().contains("hunter2"));
}

#[test]
fn it_starts_without_its_redis_and_not_with_a_misspelt_url() {
    let database = Database::new();
    let url = format!("redis://:hunter2@127.0.0.1:{}", free_port());
    stop(&start(&database, Some(&url)));
    let url = "redis://:hunter2@localhost?tll=5m";
    let worker = Program::start(env!("CARGO_BIN_EXE_batch-worker"), &database, Some(url));
    let said = worker.fails();
    assert!(said.contains("CACHE_URL") && said.contains("tll"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
