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
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::encoded::{Encoded, EncodedLease};
use super::resilience::Health;
use crate::backend::{
    CacheBackend, EntityType, EntityTypes, Invalidated, LeaseRequest, Leased, Lookup, Stored,
};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::error::Result;
use crate::observability::CacheMetrics;
use crate::together::join;

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
/// ([`CacheExpander::with_namespace`](crate::CacheExpander::with_namespace)).
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
    shared: Arc<Shared>,
}

struct Shared {
    route: Route,
    servers: Vec<Encoded<MemcachedStore>>,
    types: EntityTypes,
}

type Lease = EncodedLease<MemcachedToken>;

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
        let servers = servers.collect();
        Ok(Self {
            shared: Arc::new(Shared {
                route,
                servers,
                types: EntityTypes::new(),
            }),
        })
    }

    /// The health of all servers in one, as this process sees them: available if all are, the
    /// invalidations of all, and the last error of the first that has one.
    pub fn health(&self) -> Health {
        Health::of_all(self.shared.servers.iter().map(Encoded::health))
    }

    /// The servers, in the order of the configuration. Each is a backend of its own, with a
    /// [`health`](Encoded::health) of its own; its [`byte_store`](Encoded::byte_store) knows its name.
    pub fn servers(&self) -> &[Encoded<MemcachedStore>] {
        &self.shared.servers
    }

    /// The server that keeps `key`, the whole cache key.
    pub fn server_of(&self, key: &str) -> &Encoded<MemcachedStore> {
        &self.shared.servers[self.shared.route.of(key)]
    }

    /// Sends each server its part of a batch, all at once, and puts the answers into order.
    async fn spread<'b, I, O, F>(
        &'b self,
        items: Vec<I>,
        key: impl Fn(&I) -> &str,
        run: impl Fn(&'b Encoded<MemcachedStore>, Vec<I>) -> F,
    ) -> Vec<O>
    where
        F: Future<Output = Vec<O>>,
    {
        let servers = &self.shared.servers;
        let count = items.len();
        if count == 1 || servers.len() == 1 {
            let server = items
                .first()
                .map_or(0, |item| self.shared.route.of(key(item)));
            return run(&servers[server], items).await;
        }
        let mut parts: Vec<(Vec<usize>, Vec<I>)> = Vec::new();
        parts.resize_with(servers.len(), Default::default);
        for (place, item) in items.into_iter().enumerate() {
            let (places, part) = &mut parts[self.shared.route.of(key(&item))];
            places.push(place);
            part.push(item);
        }
        let (mut places, mut running) = (Vec::with_capacity(count), Vec::new());
        for (server, (part_places, part)) in servers.iter().zip(parts) {
            if !part.is_empty() {
                places.extend(part_places);
                running.push(run(server, part));
            }
        }
        let answers = join(running.into_iter(), usize::MAX).await;
        let answers = answers.into_iter().flatten();
        let mut answers: Vec<(usize, O)> = places.into_iter().zip(answers).collect();
        answers.sort_unstable_by_key(|(place, _)| *place);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }
}

impl CacheBackend for MemcachedBackend {
    type Lease = Lease;

    async fn get<T: CacheEntity>(&self, key: &str, now: Timestamp) -> Result<Lookup<T>> {
        self.server_of(key).get(key, now).await
    }

    async fn lease<T: CacheEntity>(
        &self,
        key: &str,
        request: LeaseRequest,
    ) -> Result<Leased<Lease>> {
        self.server_of(key).lease::<T>(key, request).await
    }

    async fn store<T: CacheEntity>(
        &self,
        key: &str,
        lease: Lease,
        entry: Entry<T>,
        now: Timestamp,
    ) -> Result<Stored> {
        CacheBackend::store(self.server_of(key), key, lease, entry, now).await
    }

    async fn release<T: CacheEntity>(&self, key: &str, lease: Lease) -> Result<()> {
        self.server_of(key).release::<T>(key, lease).await
    }

    async fn invalidate<T: CacheEntity>(&self, key: &str) -> Result<Invalidated> {
        self.server_of(key).invalidate::<T>(key).await
    }

    async fn invalidate_text(&self, key: &str) -> Result<Invalidated> {
        self.server_of(key).invalidate_text(key).await
    }

    fn default_ttl(&self) -> Option<Duration> {
        self.shared.servers.first().and_then(Encoded::default_ttl)
    }

    fn watch(&self, listener: Weak<dyn CacheMetrics>) {
        for server in &self.shared.servers {
            server.watch(Weak::clone(&listener));
        }
    }

    fn meet(&self, entity: EntityType<'_>) -> Result<()> {
        self.shared.types.meet(entity)
    }

    async fn get_many<T: CacheEntity>(
        &self,
        keys: &[&str],
        now: Timestamp,
    ) -> Vec<Result<Lookup<T>>> {
        self.spread(
            keys.to_vec(),
            |key| key,
            |server, keys| async move { server.get_many(&keys, now).await },
        )
        .await
    }

    async fn lease_many<T: CacheEntity>(
        &self,
        requests: &[(&str, LeaseRequest)],
    ) -> Vec<Result<Leased<Lease>>> {
        self.spread(
            requests.to_vec(),
            |(key, _)| key,
            |server, requests| async move { server.lease_many::<T>(&requests).await },
        )
        .await
    }

    async fn store_many<T: CacheEntity>(
        &self,
        entries: Vec<(&str, Lease, Entry<T>)>,
        now: Timestamp,
    ) -> Vec<Result<Stored>> {
        self.spread(
            entries,
            |(key, ..)| key,
            |server, entries| server.store_many(entries, now),
        )
        .await
    }

    async fn release_many<T: CacheEntity>(&self, leases: Vec<(&str, Lease)>) -> Vec<Result<()>> {
        self.spread(
            leases,
            |(key, _)| key,
            |server, leases| server.release_many::<T>(leases),
        )
        .await
    }

    async fn invalidate_many<T: CacheEntity>(&self, keys: &[&str]) -> Vec<Result<Invalidated>> {
        self.spread(
            keys.to_vec(),
            |key| key,
            |server, keys| async move { server.invalidate_many::<T>(&keys).await },
        )
        .await
    }
}

impl Clone for MemcachedBackend {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl fmt::Debug for MemcachedBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.shared.servers.iter().map(Encoded::byte_store))
            .finish()
    }
}
