//! [`RedisBackend`]: entries in Redis, shared by all processes that use it.

mod address;
mod aside;
#[cfg(feature = "redis-cluster")]
mod cluster;
mod config;
mod connect;
mod connection;
mod demoted;
mod dial;
mod dialect;
mod fences;
mod login;
mod ping;
mod said;
mod scan;
mod scripts;
#[cfg(feature = "redis-sentinel")]
mod sentinel;
mod servers;
mod session;
mod split;
mod store;
#[cfg(feature = "redis-tls")]
mod tls;
mod url;

use super::encoded::Encoded;
use crate::error::Result;

pub use config::RedisConfig;
pub use store::RedisStore;
#[cfg(feature = "redis-tls")]
pub use tls::RedisTls;

/// Keeps entries in Redis, where all processes share them.
///
/// Needs Redis 6 or newer, or a server that speaks its protocol and runs its scripts. Where the
/// server knows a command that does the work of a script, that is sent instead, since it takes less
/// of the server's time: leases on Redis 7, stores on Redis 8.4 and Valkey 8.1, releases on Redis
/// 8.4 and Valkey 9. Which ones it knows is found out on each connection. One connection serves all
/// callers of a tokio runtime (`enable_all()`). A task makes it at the first use, and again when it
/// is lost. It ends with its runtime.
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
/// nothing is sent for a while. The same happens after a call was given up and a `PING` behind it
/// found no answer. Reads are then answered from the repository, one load per key. Invalidations
/// wait, up to 10,000 of them. A background task finds out when the server is back, and sends them;
/// until then their keys are not served. [`Encoded::health`] shows the state.
///
/// Nothing is sent to a server that has become a replica, since it would refuse every invalidation,
/// nor to one that says that another server keeps a key: it is a node of a cluster, and
/// `redis+cluster://` has to be written. It is tested by deleting the key that it refused: by the task,
/// and by the next call, one every 500 ms at most. A cluster of one node can be used by `redis://`, too.
///
/// # A cluster
/// With `redis+cluster://`, each key is sent to the node that keeps its slot; batches and concurrent
/// look-ups are sent to each node in one go. Each node has its own breaker: one that is away affects
/// only its own keys. A node that no longer keeps a key says who does (`MOVED`, `ASK`), and the
/// command goes on there, up to 8 times. A task asks the nodes for the whole list
/// (`CLUSTER SLOTS`) at the first use, after a redirection, and while a node fails, every 100 ms at
/// most, so that a promoted replica is found as soon as any node knows it. Nothing is ever read from
/// a replica. [`Encoded::health`] has every node with its role, breaker and queue.
///
/// # Sentinels
/// With `redis+sentinel://` the sentinels are asked for the master at every connection: each in turn,
/// within its share of the connect deadline, and the one that named the master last comes first. A
/// master that does not answer leaves time for the others, which may name another one. The
/// server must say that it is a master (`ROLE`; a user without that right goes on). While a
/// connection lasts, one of them is asked again every second, and the connection ends when they name
/// another master: the old one may go on to answer, if it only stood still during the failover.
///
/// A lost connection, a `PING` without an answer and a refused write lead to the new master, usually
/// within a second of its promotion.
///
/// # TLS
/// `rediss://`, or [`RedisConfig::with_tls`]: see [`RedisTls`](super::RedisTls). The certificate of
/// every server must be for the host that is connected to, which is the host of the URL, or the one
/// that a sentinel or a cluster names. Let these announce host names, or write their addresses into
/// the certificates.
///
/// # Passwords and certificates that change
/// The password, if it comes from a file or a function, and the certificates are read again for each
/// connection. So change them here first and let the server accept both, or change them on the
/// server and then here: until both agree, the repository answers, and the next try (every 500 ms)
/// uses what is there by then.
///
/// # Permissions that its user needs
/// `GET`, `MGET`, `SET`, `DEL`, `GETRANGE`, `EVALSHA`, `SCRIPT LOAD` and `PING`, on the keys of its
/// entities:
///
/// ```text
/// ACL SETUSER app on >password ~user:* ~order:* +get +mget +set +del +getrange +evalsha +script|load +ping
/// ```
///
/// On Redis 8.4 also `DELEX`, and on Valkey 9 `DELIFEQ`, without which a release is a script. A user
/// that may not run scripts can store only there, and only under keys that have no entry.
///
/// To clear a type or a namespace also `SCAN`, without which that is an error.
///
/// In a cluster also `CLUSTER SLOTS`, and `ASKING` for keys that are on their way to another node. With
/// sentinels also `ROLE`, without which a server is not asked whether it is a master. The user of
/// the sentinels needs `SENTINEL GET-MASTER-ADDR-BY-NAME`.
///
/// A refusal affects only its own key. A refused look-up is a miss, and its load is not stored. A
/// refused invalidation waits while the repository answers for its key, and is given up after an
/// hour
/// ([`EncodedConfig::with_refused_invalidations`](super::EncodedConfig::with_refused_invalidations)).
/// [`Health::last_refusal`](crate::backend::Health::last_refusal) names the command. A refused login is a
/// failure of the connection.
///
/// # What fences cannot prevent
/// A restart that brings deleted keys back from disk, and a failover to a replica that had not
/// seen an invalidation. Both are bounded by the time to live, which is one hour by default.
///
/// During a failover of a cluster or of sentinels the old master may acknowledge invalidations that are lost with it: of those
/// that its replica had not received, and of those until it is left: about a second after the
/// sentinels name the new one, or when it learns that another node has its slots.
pub type RedisBackend = Encoded<RedisStore>;

impl Encoded<RedisStore> {
    /// A backend over the server that `config` names. Connects at the first use, so that a service
    /// starts while the server is down.
    ///
    /// # Errors
    /// [`Error::ConfigError`](crate::Error::ConfigError) if the configuration makes no sense.
    pub fn new(config: RedisConfig) -> Result<Self> {
        let encoded = config.encoded().clone();
        Ok(Self::with_config(RedisStore::new(&config)?, encoded))
    }
}
