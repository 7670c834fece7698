//! `cache_kit::guide::what_can_be_cached`: what becomes of each type in a store of bytes, and in memory.
//! The code of the page runs here, too.

#![cfg(any(test, doctest))]
#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is what a test is for"
)]

#[cfg(test)]
mod kinds;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod models;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tried;

#[cfg(test)]
#[path = "../../../examples/byte_store.rs"]
#[allow(dead_code, reason = "an example of its own, which has a main")]
mod byte_store;

#[cfg(doctest)]
#[doc = include_str!("../../../cache-kit/src/guide/what_can_be_cached.md")]
mod page {}
