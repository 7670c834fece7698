//! The public contract, from the outside: everything that needs no server and shares a process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed expectation is what a test is for"
)]

mod batches;
#[path = "../../examples/byte_store.rs"]
#[allow(dead_code, reason = "an example of its own, which has a main")]
mod byte_store;
mod counted;
mod faults;
mod fences;
mod flights;
mod freshness;
mod gather;
mod guard;
mod hooks;
mod memory;
mod oracle;
mod retries;
mod ttl;
mod usage;
