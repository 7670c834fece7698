//! What only Redis has, against real servers. `tests/remote` has what both stores have.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed expectation is what a test is for"
)]

mod answers;
mod batches;
mod bytes;
mod clear;
mod cluster;
mod commands;
mod connections;
mod failover;
mod failures;
mod late;
mod logins;
mod noticed;
mod operating;
mod processes;
mod protocol;
mod refusals;
mod sentinel;
mod storm;
mod tls;

use cache_kit::CacheService;
use cache_kit::backend::{RedisBackend, RedisConfig};
use cache_kit_tests::Gated;
use cache_kit_tests::calls::{self, PATIENCE, call};
use cache_kit_tests::servers::RedisServer;

type Service = CacheService<RedisBackend>;

fn config(url: &str) -> RedisConfig {
    RedisConfig::from_url(url).unwrap()
}

fn service(url: &str) -> Service {
    calls::service::<RedisServer>(url)
}

fn service_by_default(url: &str) -> Service {
    calls::service_by_default::<RedisServer>(url)
}

fn scene() -> (RedisServer, Gated) {
    calls::scene()
}
