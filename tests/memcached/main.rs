//! The Memcached backend against real servers, and against peers that only look like one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "a failed expectation is what a test is for"
)]

mod cancelled;
mod connecting;
mod crowds;
mod failures;
mod far;
mod fences;
mod items;
mod late;
mod peer;
mod peers;
mod refusals;
mod schedules;
mod storm;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use cache_kit::backend::{MemcachedBackend, MemcachedConfig};
use cache_kit::{CacheExpander, CacheService, CacheStrategy, Outcome, Result, SharedFeeder};
use cache_kit_tests::servers::MemcachedServer;
use cache_kit_tests::{Gated, Row};

type Service = CacheService<MemcachedBackend>;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn config(url: &str) -> MemcachedConfig {
    MemcachedConfig::from_url(url).unwrap()
}

/// A separate service, as in another process: it shares only the servers. It is patient, so that a
/// busy machine does not look like a broken server.
fn service(url: &str) -> Service {
    let config = config(url).set(|encoded| encoded.with_operation_deadline(PATIENCE));
    CacheExpander::new(MemcachedBackend::new(config).unwrap())
        .with_lease_wait(PATIENCE)
        .into()
}

/// A service with the defaults, for tests that depend on them.
fn service_by_default(url: &str) -> Service {
    CacheService::new(MemcachedBackend::new(config(url)).unwrap())
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

/// Whether the next look-up is answered by the cache.
async fn is_hit(service: &Service, database: &Gated, id: &str) -> bool {
    let fresh = call(service, database, id, CacheStrategy::Fresh).await;
    fresh.unwrap().0.is_hit()
}

/// A server, and an open database with row `k` in version 1.
fn scene() -> (MemcachedServer, Gated) {
    let database = Gated::open();
    database.set("k", 1);
    (MemcachedServer::start(), database)
}
