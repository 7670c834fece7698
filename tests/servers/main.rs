//! Tests of the harness that starts servers and runs proxies.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a failed expectation is what a test is for"
)]

mod alike;
mod late;
mod memcached;
mod proxy;
mod redis;
mod resp;
mod tricks;
mod watchdog;
