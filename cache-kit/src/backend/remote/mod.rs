//! Stores that other processes share: what they have in common, and one folder for each.

mod byte_store;
mod coalesce;
mod encoded;
#[cfg(feature = "memcached")]
mod memcached;
#[cfg(feature = "redis")]
mod redis;
mod resilience;

pub use byte_store::{ByteStore, Claim, HEAD_BYTES, HEAD_PREFIXES, head, is_head};
pub use encoded::{Encoded, EncodedConfig, EncodedLease};
#[cfg(feature = "memcached")]
pub use memcached::{MemcachedBackend, MemcachedConfig, MemcachedStore, MemcachedToken};
#[cfg(feature = "redis")]
pub use redis::{RedisBackend, RedisConfig, RedisStore};
pub use resilience::Health;
