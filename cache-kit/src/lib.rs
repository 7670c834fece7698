//! An explicit cache between a Rust service and its database.
//!
//! An *entity* says how it is keyed, a *feeder* carries a request in and the entity out, a
//! *repository* knows how to load, a *strategy* says what one call may do, a *backend* keeps the
//! entries. Caching and invalidation are explicit, and what the cache did is always visible in an
//! [`Outcome`].
//!
//! # From nothing to a cached read
//!
//! 1. Derive [`CacheEntity`] on the type that you load: it gets a key and a prefix.
//! 2. Implement [`DataRepository`] for the type that loads it, in plain `async fn`.
//! 3. Put a [`CacheService`] over a backend in front of it ([`CacheService::repository`]), and clone the
//!    [`CachedRepository`] wherever it is needed.
//! 4. Where a handler has a request type or a transaction of its own, derive `CacheFeeder` on the
//!    request, and pass both to [`CacheService::execute`].
//!
//! ```
//! use cache_kit::backend::InMemoryBackend;
//! use cache_kit::{CacheEntity, CacheService, DataRepository};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Serialize, Deserialize)]
//! struct User {
//!     id: u64,
//!     name: String,
//! }
//!
//! // What `#[derive(CacheEntity)] #[cache(prefix = "user", key = "id")]` would write:
//! impl CacheEntity for User {
//!     type Key = u64;
//!
//!     fn cache_key(&self) -> u64 {
//!         self.id
//!     }
//!
//!     fn cache_prefix() -> &'static str {
//!         "user"
//!     }
//! }
//!
//! struct Users; // a connection pool, as a rule
//!
//! impl DataRepository<User> for Users {
//!     async fn fetch_by_id(&self, id: &u64) -> cache_kit::Result<Option<User>> {
//!         Ok(Some(User { id: *id, name: "Ann".to_string() }))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> cache_kit::Result<()> {
//! let users = CacheService::new(InMemoryBackend::new()).repository(Users);
//! let user = users.get(&42).await?;
//! assert_eq!(user.map(|user| user.name.clone()).as_deref(), Some("Ann"));
//!
//! // After an update has been committed:
//! users.invalidate(&42).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Where to read on
//!
//! - [`guide`]: from everything written by hand to two derives.
//! - [`CachedRepository`]: a repository with its cache in front.
//! - [`CacheStrategy`]: what one call may do.
//! - [`FreshnessPolicy`]: how long answers are fresh, and what may stand in for a fresh one.
//! - [`CacheExpander::with`]: what is called when, what can fail, what happens on cancellation.
//! - [`backend`]: where entries are kept, and the protocol of leases and fences.
//! - [`observability`]: what the cache did, for one call or for all.
//! - [`guide::what_can_be_cached`]: which types a remote store keeps as they are, and which need an
//!   attribute.
//! - [`operating`]: what to set up, to watch and to expect of a remote store.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `derive` | yes | `#[derive(CacheEntity)]`, `#[derive(CacheSchema)]`, `#[derive(CacheFeeder)]` |
//! | `moka` | yes | `Engine::Moka` for the in-memory backend |
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

pub use cached::CachedRepository;
pub use entity::{CacheEntity, CacheSchema};
pub use error::{Error, ErrorKind, Result};
pub use expander::CacheExpander;
pub use feed::{CacheFeed, CacheFeedMany, GenericFeeder, SharedFeeder};
pub use key::CacheKey;
pub use observability::{Outcome, Source};
pub use policy::{FreshnessPolicy, OperationConfig, TtlPolicy};
pub use repository::{DataRepository, InMemoryRepository};
pub use service::CacheService;
pub use strategy::CacheStrategy;

#[cfg(feature = "derive")]
pub use cache_kit_derive::{CacheEntity, CacheFeeder, CacheSchema};

#[cfg(all(any(doc, doctest), feature = "derive"))]
#[doc = include_str!("guide.md")]
pub mod guide {
    // Its code runs in `tests/types`, which has the crates that it shows.
    #[cfg(all(not(doctest), feature = "codec", feature = "json", feature = "testing"))]
    #[doc = include_str!("guide/what_can_be_cached.md")]
    pub mod what_can_be_cached {}
}

#[cfg(all(any(doc, doctest), feature = "redis", feature = "memcached"))]
#[doc = include_str!("operating.md")]
pub mod operating {}

/// The code in the README compiles and runs.
#[cfg(all(doctest, feature = "derive", feature = "redis"))]
#[doc = include_str!("../../README.md")]
mod readme {}
