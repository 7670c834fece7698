//! [`MemcachedBackend`]: entries in Memcached, shared by all processes that use it.

mod answer;
mod command;
mod config;
mod driver;
mod expected;
mod key;
mod lifetime;
mod link;
mod pool;
mod route;
mod socket;
mod store;

use std::fmt;

use super::encoded::{Encoded, EncodedLease};
use super::sharded::Sharded;
use crate::backend::{CacheBackend, Health};
use crate::error::Result;

pub use config::MemcachedConfig;
use route::Route;
pub use store::{MemcachedStore, MemcachedToken};

/// Keeps entries in Memcached, where all processes share them.
///
/// Needs memcached 1.6, for its meta commands (tried with 1.6.18), and a unix system.
/// Reaches the servers directly: a proxy that keeps our connection while the server behind it
/// restarts would undo the fences. A connection is made when it is needed, by a task of its own, so
/// that it does not fail when its caller goes away. Each tokio runtime has its own connections: one
/// to each server, and up to four under load. They end with the runtime. A connection carries many
/// commands at a time, and is closed when the server owes an answer for longer than the deadline of
/// an operation.
///
/// ```no_run
/// use cache_kit::CacheService;
/// use cache_kit::backend::{MemcachedBackend, MemcachedConfig};
///
/// # fn main() -> cache_kit::Result<()> {
/// let config = MemcachedConfig::from_url("memcached://cache-a:11211,cache-b:11211")?;
/// let cache = CacheService::new(MemcachedBackend::new(config)?);
/// # Ok(())
/// # }
/// ```
///
/// # Several servers, and one that does not answer
/// Every key has one server, by rendezvous hashing over the list, and each server has its own
/// breaker and queue. A command ends after its deadline (500 ms), connecting included. While a
/// runtime has 512 commands in flight, or 1 MiB to send, further ones wait for their turn before
/// their deadline begins, for up to another 500 ms; a timeout there does not count as a failure of
/// the server. After five failures in a row nothing is sent to that server for a while; the others
/// go on. Its keys are then read from the repository, one load per key, and their invalidations
/// wait, up to 10,000 for each server. A background task finds out when the server is back, and
/// sends them before anything else. [`health`](Self::health) shows the state of all servers,
/// [`servers`](Self::servers) that of each one.
///
/// A key never moves to another server: its own server would come back with entries that missed
/// their invalidations. For the same reason all processes must have the same list. To change it,
/// give the new processes a namespace of their own
/// ([`CacheExpander::with_namespace`](crate::CacheExpander::with_namespace)), and end the old ones
/// first: their invalidations do not reach what the new ones read.
///
/// # Keys, times, sizes
/// A key over 250 bytes, or with anything but printable ASCII, is replaced by its SHA-256. Every
/// entry contains its full key, which is compared. Memcached counts whole seconds, and drops an
/// entry up to two seconds after its time; the stamps in the entry end its life to the millisecond.
/// An entry of more than 1 MiB less 512 bytes is not stored.
///
/// # What it does not have
/// TLS, and passwords: any client that reaches the servers can read and write every entry. Keep
/// them in a network that you trust, or behind a sidecar on each host (stunnel, a service mesh)
/// that wraps each of our connections in one TLS connection.
///
/// # What fences cannot prevent
/// If a process ends while an invalidation waits for a server, the invalidation is lost, and other
/// processes that reach the server read the old entry. The time to live bounds this: one hour by
/// default.
pub struct MemcachedBackend {
    sharded: Sharded<MemcachedStore>,
}

impl MemcachedBackend {
    /// A backend over the servers that `config` names. Connects at the first use, so that a service
    /// starts while they are down.
    ///
    /// # Errors
    /// None at present: the configuration was checked when it was made.
    pub fn new(config: MemcachedConfig) -> Result<Self> {
        let addresses = config.servers();
        let route = Route::over(addresses.iter().map(|address| address.name()));
        let servers = addresses.iter().map(|address| {
            let store = MemcachedStore::new(address.clone(), &config);
            Encoded::with_config(store, config.encoded().clone())
        });
        Ok(Self {
            sharded: Sharded::new(servers.collect(), move |key| route.of(key)),
        })
    }

    /// The health of all servers in one, as this process sees them: available if all are, the
    /// invalidations of all, and the last error of the first that has one.
    pub fn health(&self) -> Health {
        self.sharded.health()
    }

    /// Asks all servers now, at once, whether they answer, whatever their breakers say. For each it is
    /// what [`Encoded::ping`] does.
    ///
    /// # Errors
    /// That of the first server in the list that does not answer, with its name: the keys of that
    /// server are read from the repository, those of the others from the cache.
    ///
    /// # Cancellation
    /// It may be dropped at any await.
    pub async fn ping(&self) -> Result<()> {
        let answers = self.sharded.ping_each().await;
        let servers = self
            .servers()
            .iter()
            .map(|server| server.byte_store().server());
        servers
            .zip(answers)
            .try_for_each(|(server, answer)| answer.map_err(|error| error.during("ping", server)))
    }

    /// The servers, in the order of the configuration. Each is a backend of its own, with a
    /// [`health`](Encoded::health) of its own; its [`byte_store`](Encoded::byte_store) knows its name.
    pub fn servers(&self) -> &[Encoded<MemcachedStore>] {
        self.sharded.shards()
    }

    /// The server that keeps `key`, the whole cache key.
    pub fn server_of(&self, key: &str) -> &Encoded<MemcachedStore> {
        self.sharded.shard_of(key)
    }
}

#[deny(clippy::missing_trait_methods)]
impl CacheBackend for MemcachedBackend {
    type Lease = EncodedLease<MemcachedToken>;

    crate::forward_backend!(sharded: try_get, get, get_again, lease, store, release);
    crate::forward_backend!(sharded: get_many, lease_many, store_many, release_many);
    crate::forward_backend!(sharded: invalidate, invalidate_text, invalidate_many, clear_prefix);
    crate::forward_backend!(sharded: is_cold, scope, default_ttl, watch, meet, health, entries);

    async fn ping(&self) -> Result<()> {
        Self::ping(self).await
    }
}

impl Clone for MemcachedBackend {
    fn clone(&self) -> Self {
        Self {
            sharded: self.sharded.clone(),
        }
    }
}

impl fmt::Debug for MemcachedBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.servers().iter().map(Encoded::byte_store))
            .finish()
    }
}
