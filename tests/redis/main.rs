//! The Redis backend against real servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed expectation is what a test is for"
)]

mod bytes;
mod failures;
mod fences;
mod processes;
mod protocol;
mod schedules;
mod wire;

use std::sync::Arc;

use cache_kit::backend::{RedisBackend, RedisConfig};
use cache_kit::{CacheService, CacheStrategy, Outcome, Result, SharedFeeder};
use cache_kit_tests::servers::RedisServer;
use cache_kit_tests::{Gated, Row};

type Service = CacheService<RedisBackend>;

fn config(url: &str) -> RedisConfig {
    RedisConfig::from_url(url).unwrap()
}

/// A service of its own, as another process would have it: it shares the server and nothing else.
fn service(url: &str) -> Service {
    CacheService::new(RedisBackend::new(config(url)).unwrap())
}

async fn call(
    service: &Service,
    database: &Gated,
    id: &str,
    strategy: CacheStrategy,
) -> Result<(Outcome, Option<u64>)> {
    let mut feeder = SharedFeeder::<Row>::new(id.to_owned());
    let outcome = service.execute(&mut feeder, database, strategy).await?;
    Ok((outcome, feeder.entity.map(|row: Arc<Row>| row.version)))
}

/// A server, and an open database with row `k` in version 1.
fn scene() -> (RedisServer, Gated) {
    let database = Gated::open();
    database.set("k", 1);
    (RedisServer::start(), database)
}
