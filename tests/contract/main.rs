//! The public contract, from the outside: all tests without a server, in one process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed expectation is what a test is for"
)]

mod age;
mod asked;
mod batches;
#[path = "../../examples/byte_store.rs"]
#[allow(dead_code, reason = "an example of its own, which has a main")]
mod byte_store;
mod chosen;
mod clear;
mod counted;
mod facade;
mod faults;
mod fences;
mod flights;
mod freshness;
mod gather;
mod guard;
mod hooks;
mod identity;
mod left_behind;
mod listeners;
mod memory;
mod nodes;
mod one_load;
mod oracle;
mod owned;
mod retries;
mod shelf;
mod spans;
mod trouble;
mod ttl;
mod unpolled;
mod unwound;
mod usage;
mod waiting;
