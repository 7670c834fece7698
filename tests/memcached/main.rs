//! What only Memcached has, against real servers and against peers that only look like one.
//! `tests/remote` has what both stores have.

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
mod items;
mod leases;
mod noticed;
mod peer;
mod peers;
mod refusals;
mod storm;
mod waiting;

use cache_kit::CacheService;
use cache_kit::backend::{MemcachedBackend, MemcachedConfig};
use cache_kit_tests::Gated;
use cache_kit_tests::calls::{self, PATIENCE, call, is_hit};
use cache_kit_tests::servers::MemcachedServer;

type Service = CacheService<MemcachedBackend>;

fn config(url: &str) -> MemcachedConfig {
    MemcachedConfig::from_url(url).unwrap()
}

fn service(url: &str) -> Service {
    calls::service::<MemcachedServer>(url)
}

fn service_by_default(url: &str) -> Service {
    calls::service_by_default::<MemcachedServer>(url)
}

fn scene() -> (MemcachedServer, Gated) {
    calls::scene()
}
