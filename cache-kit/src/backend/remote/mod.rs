//! Stores that other processes share: what they have in common, and one folder for each.

mod byte_store;
mod coalesce;
#[cfg(any(feature = "memcached", feature = "redis"))]
mod drive;
mod encoded;
#[cfg(feature = "memcached")]
mod memcached;
#[cfg(feature = "redis")]
mod redis;
mod resilience;
mod scan;
#[cfg(feature = "memcached")]
mod sharded;

/// How many parts of a large batch are in flight at a time: what has arrived is handled while the
/// store answers the rest.
const PARTS_AT_ONCE: usize = 4;

/// How many bytes of large values are under way to or from one node at a time. With the default deadline
/// of 500 ms, it is enough to use a connection of 8 MB/s to 4 GB/s, at a distance of up to 1 ms, and
/// 100 MB/s over 40 ms.
const UNDER_WAY_BYTES: usize = 4 << 20;

pub(super) use byte_store::Limits;
pub use byte_store::{ByteStore, Claim, HEAD_BYTES, HEAD_PREFIXES, head, is_head};
pub use encoded::{Encoded, EncodedConfig, EncodedLease};
#[cfg(feature = "memcached")]
pub use memcached::{MemcachedBackend, MemcachedConfig, MemcachedStore, MemcachedToken};
#[cfg(feature = "redis-tls")]
pub use redis::RedisTls;
#[cfg(feature = "redis")]
pub use redis::{RedisBackend, RedisConfig, RedisStore};
pub use scan::{ScanCursor, Scanned};
