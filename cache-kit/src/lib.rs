//! An explicit cache between a Rust service and its database.
//!
//! ```text
//! cargo add cache-kit
//! cargo add serde --features derive
//! cargo add tokio --features macros,rt-multi-thread
//! ```
//!
#![cfg_attr(feature = "derive", doc = "```")]
#![cfg_attr(not(feature = "derive"), doc = "```text")]
//! use cache_kit::{CacheEntity, CacheService, backend::AnyBackend, repository::from_fn};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Debug, Serialize, Deserialize, CacheEntity)]
//! #[cache(key = "id", ttl = "5m")] // kept under "user:42" for five minutes
//! struct User {
//!     id: u64,
//!     name: String,
//! }
//!
//! async fn load(id: &u64) -> cache_kit::Result<Option<User>> {
//!     Ok(Some(User { id: *id, name: "Ann".into() })) // SELECT … WHERE id = $1
//! }
//!
//! #[tokio::main]
//! async fn main() -> cache_kit::Result<()> {
//!     let cache = CacheService::new(AnyBackend::from_url("memory://")?); // or redis://…
//!     let users = cache.repository(from_fn(load)); // cheap to clone
//!     println!("{:?}", users.get(&42).await?); // loads and stores; the next one hits
//!     users.invalidate(&42).await?; // after an update has been committed
//!     Ok(())
//! }
//! ```
//!
//! - **An invalidation holds.** A load that began before it is not stored after it, and a read that begins
//!   after it returns nothing older: in all processes that share the store.
//! - **One load for each key**, however many callers miss it. It goes on when they hang up.
//! - **A cache that is away only costs time.** The repository answers; invalidations wait, and are sent.
//! - **It tells what it did**: each call by an [`Outcome`], all of them by a
//!   [listener](observability::CacheMetrics), in metrics and in traces; and it warns in the log when it
//!   cannot do its work.
//!
//! # Where to read on
//!
//! The [`guide`] has a page for each task: [`getting_started`](guide::getting_started),
//! [`strategies`](guide::strategies), [`invalidation`](guide::invalidation),
//! [`batches`](guide::batches), [`freshness`](guide::freshness), [`testing`](guide::testing),
//! [`operating`](guide::operating), [`watching`](guide::watching), [`deploying`](guide::deploying),
//! [`what_can_be_cached`](guide::what_can_be_cached).
//!
//! - with Axum, Actix Web or Tonic: [`axum`](guide::axum), [`actix_web`](guide::actix_web),
//!   [`tonic`](guide::tonic)
//! - with SQLx, SeaORM or Diesel: [`sqlx`](guide::sqlx), [`sea_orm`](guide::sea_orm),
//!   [`diesel`](guide::diesel)
//! - [from cache-kit 0.9](guide::from_cache_kit_0_9), [from moka](guide::from_moka),
//!   [from `cached`](guide::from_cached)
//!
//! In the reference:
//!
//! - [`CachedRepository`]: a repository with its cache in front.
//! - [`CacheExpander::with`]: what is called when, what can fail, what happens on cancellation.
//! - [`backend`]: where entries are kept, and the protocol of leases and fences.
//! - [`observability`]: what the cache did, for one call or for all.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `derive` | yes | the derives of `CacheEntity`, `CacheSchema` and `CacheFeeder` |
//! | `moka` | yes | `Engine::Moka` for the in-memory backend |
//! | `tracing` | yes | warnings about a cache that cannot do its work, and spans of its calls: [`watching`](guide::watching) |
//! | `metrics` | no | `FacadeMetrics`: counts through the facade of the crate `metrics` |
//! | `redis` | no | `RedisBackend` over one server |
//! | `redis-cluster` | no | the same over a cluster |
//! | `redis-sentinel` | no | the same over the master that sentinels name |
//! | `redis-tls` | no | the same over TLS, by rustls and *ring*; `RedisTls` |
//! | `memcached` | no | `MemcachedBackend` |
//! | `codec` | no | `ByteStore` and `Encoded`, for a store of your own |
//! | `sqlx` | no | `?` on the errors of SQLx 0.8; for SeaORM and Diesel see [`repository_error!`] |
//! | `all` | no | `redis` and `memcached` |
//! | `inmemory` | no | nothing: the backend in memory is always there. For manifests written for 0.9, as `all` |
//! | `json` | no | [`serde::json`], which keeps a field as its JSON |
//! | `testing` | no | for tests: a repository and a backend that fail on command, a manual clock, a recording listener; the conformance suite |
#![doc = include_str!("guide/tables.html")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod answers;
pub mod backend;
pub mod cached;
pub mod clock;
mod coalesced;
#[cfg(feature = "codec")]
mod codec;
pub mod entity;
pub mod entry;
pub mod error;
pub mod expander;
pub mod feed;
mod flight;
pub mod key;
mod lease;
pub mod observability;
mod policy;
pub mod repository;
mod schema;
pub mod serde;
pub mod service;
mod shards;
pub mod strategy;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod timer;
mod together;
mod trace;
mod unwind;

#[doc(hidden)]
pub mod __private;

#[doc(inline)]
pub use cached::CachedRepository;
#[doc(inline)]
pub use entity::{CacheEntity, CacheSchema};
#[doc(inline)]
pub use error::{Error, ErrorKind, Result};
#[doc(inline)]
pub use expander::CacheExpander;
#[doc(inline)]
pub use feed::{CacheFeed, CacheFeedMany, GenericFeeder, SharedFeeder};
#[doc(inline)]
pub use key::CacheKey;
#[doc(inline)]
pub use observability::{Outcome, Source};
#[doc(inline)]
pub use policy::{FreshnessPolicy, OperationConfig, TtlPolicy};
#[doc(inline)]
pub use repository::{DataRepository, InMemoryRepository};
#[doc(inline)]
pub use service::CacheService;
#[doc(inline)]
pub use strategy::CacheStrategy;

#[cfg(feature = "derive")]
#[doc(inline)]
pub use cache_kit_derive::{CacheEntity, CacheFeeder, CacheSchema};

// Shown here, and run in `tests`, where there is what its code needs.
#[cfg(all(doc, not(doctest)))]
pub mod guide;

/// The code in the README compiles and runs.
#[cfg(all(doctest, feature = "derive"))]
#[doc = include_str!("../../README.md")]
mod readme {}
