//! [`RedisBackend`]: entries in Redis, shared by all processes that use it.

mod config;
mod connect;
mod connection;
mod said;
mod scripts;
mod split;
mod store;
mod url;

use super::encoded::Encoded;
use crate::error::Result;

pub use config::RedisConfig;
pub use store::RedisStore;

/// Keeps entries in Redis, where all processes share them.
///
/// Needs Redis 6 or newer, or a server that speaks its protocol and runs its scripts. One
/// connection serves all callers; it is made at the first use, and anew when it is lost, when the
/// server has become a replica, and when the runtime that it lived on is gone.
///
/// ```no_run
/// use cache_kit::CacheService;
/// use cache_kit::backend::{RedisBackend, RedisConfig};
///
/// # fn main() -> cache_kit::Result<()> {
/// let config = RedisConfig::from_url("redis://cache.internal:6379/0")?;
/// let cache = CacheService::new(RedisBackend::new(config)?);
/// # Ok(())
/// # }
/// ```
///
/// # When the server does not answer
/// A command ends after its deadline (500 ms), connecting included. After five failures in a row
/// none is sent for a while. Reads are then answered from the repository, one load per key.
/// Invalidations wait, up to 10,000 of them, and are sent before anything else when the server is
/// back, which a task in the background finds out. [`Encoded::health`] tells.
///
/// # What no fence can cure
/// A restart that brings deleted keys back from disk, and a failover to a replica that had not
/// seen an invalidation. Both are bounded by the time to live, which is one hour by default.
pub type RedisBackend = Encoded<RedisStore>;

impl Encoded<RedisStore> {
    /// A backend over the server that `config` names. Connects at the first use, so that a service
    /// starts while the server is down.
    ///
    /// # Errors
    /// [`Error::ConfigError`] if the configuration makes no sense.
    pub fn new(config: RedisConfig) -> Result<Self> {
        let encoded = config.encoded().clone();
        Ok(Self::with_config(RedisStore::new(&config)?, encoded))
    }
}
