//! An explicit cache between a Rust service and its database.
//!
//! An *entity* says how it is keyed, a *feeder* carries a request in and the entity out, a
//! *repository* knows how to load, a *strategy* says what one call may do, a *backend* keeps the
//! entries. Nothing is cached by magic, nothing is invalidated by guesswork, and what the cache
//! did is always visible in an [`Outcome`].

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod backend;
pub mod clock;
#[cfg(feature = "codec")]
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        unused_imports,
        reason = "narrow keys and generations have no user yet"
    )
)]
mod codec;
pub mod entity;
pub mod entry;
pub mod error;
pub mod expander;
pub mod feed;
mod flight;
pub mod key;
pub mod observability;
mod policy;
pub mod repository;
pub mod service;
mod shards;
pub mod strategy;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;

#[doc(hidden)]
pub mod __private;

pub use entity::CacheEntity;
pub use error::{Error, ErrorKind, Result};
pub use expander::CacheExpander;
pub use feed::{CacheFeed, GenericFeeder, SharedFeeder};
pub use observability::{Outcome, Source};
pub use policy::OperationConfig;
pub use repository::{DataRepository, InMemoryRepository};
pub use service::CacheService;
pub use strategy::CacheStrategy;

#[cfg(feature = "derive")]
pub use cache_kit_derive::{CacheEntity, CacheFeeder};

/// The code in the README compiles and runs.
#[cfg(all(doctest, feature = "derive"))]
#[doc = include_str!("../../README.md")]
mod readme {}
