//! The Redis backend against real servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed expectation is what a test is for"
)]

mod batches;
mod bytes;
mod failover;
mod failures;
mod fences;
mod late;
mod limits;
mod processes;
mod protocol;
mod refusals;
mod schedules;
mod waiting;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use cache_kit::backend::{RedisBackend, RedisConfig};
use cache_kit::{CacheExpander, CacheService, CacheStrategy, Outcome, Result, SharedFeeder};
use cache_kit_tests::servers::RedisServer;
use cache_kit_tests::{Gated, Row};

type Service = CacheService<RedisBackend>;

fn config(url: &str) -> RedisConfig {
    RedisConfig::from_url(url).unwrap()
}

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A separate service, as in another process: it shares only the server. It is patient, so that a
/// busy machine does not look like a broken server.
fn service(url: &str) -> Service {
    patient(config(url).set(|encoded| encoded.with_operation_deadline(PATIENCE)))
}

fn patient(config: RedisConfig) -> Service {
    CacheExpander::new(RedisBackend::new(config).unwrap())
        .with_lease_wait(PATIENCE)
        .into()
}

/// A service with the defaults, for tests that depend on them.
fn service_by_default(url: &str) -> Service {
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
