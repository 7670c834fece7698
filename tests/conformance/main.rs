//! The conformance suite: against every backend of the crate, and against backends that break one
//! promise each.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod broken;
#[allow(dead_code, unreachable_pub, reason = "an example, taken as it stands")]
#[path = "../../examples/byte_store.rs"]
mod byte_store;
mod tiered;

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use cache_kit::backend::{
    AnyBackend, CacheBackend, Encoded, EncodedConfig, Engine, InMemoryBackend, MemcachedBackend,
    MemcachedConfig, RedisBackend, RedisConfig,
};
use cache_kit::testing::FaultyBackend;
use cache_kit::testing::conformance::{Harness, Specimen};
use cache_kit_tests::servers::{
    Authority, MemcachedServer, NewerRedis, PATIENCE, RedisCluster, RedisServer, Server, Watched,
};
use tiered::Tiered;

/// Entries with a longer payload are too large for [`weighed`].
const LARGEST: usize = 100_000;

fn memory(engine: Engine) -> Harness<InMemoryBackend> {
    let backend = InMemoryBackend::builder().engine(engine).build();
    Harness::in_process(move || backend.clone())
}

fn weighing(engine: Engine) -> InMemoryBackend {
    InMemoryBackend::builder()
        .engine(engine)
        .max_weight(1_000_000, |entry| {
            let payload = entry
                .entity::<Specimen>()
                .map_or(0, |specimen| specimen.payload.len());
            if payload > LARGEST { u64::MAX } else { 1 }
        })
        .build()
}

fn weighed(engine: Engine) -> Harness<InMemoryBackend> {
    let backend = weighing(engine);
    Harness::in_process(move || backend.clone()).largest_payload(LARGEST)
}

/// Two processes that share one far store; the clients of the harness are of the first.
fn tiered<B: CacheBackend>(far: impl Fn() -> B, trust: Duration) -> [Tiered<B>; 2] {
    [far(), far()].map(|far| Tiered {
        near: InMemoryBackend::new(),
        far,
        trust,
    })
}

fn tiered_over_memory() -> Harness<Tiered<InMemoryBackend>> {
    let far = InMemoryBackend::new();
    let trust = Duration::from_secs(1);
    let [here, there] = tiered(|| far.clone(), trust);
    Harness::in_process(move || here.clone()).acknowledges_here(trust, move || there.clone())
}

fn faultless() -> Harness<FaultyBackend<InMemoryBackend>> {
    let backend = FaultyBackend::new(InMemoryBackend::new());
    Harness::in_process(move || backend.clone())
}

mod memory_quick_cache {
    cache_kit::conformance!(super::memory(super::Engine::QuickCache));
}

mod memory_moka {
    cache_kit::conformance!(super::memory(super::Engine::Moka));
}

mod memory_quick_cache_weighed {
    cache_kit::conformance!(super::weighed(super::Engine::QuickCache));
}

mod memory_moka_weighed {
    cache_kit::conformance!(super::weighed(super::Engine::Moka));
}

mod tiered_memory_over_memory {
    cache_kit::conformance!(super::tiered_over_memory());
}

mod faulty_without_a_fault {
    cache_kit::conformance!(super::faultless());
}

/// Short, for the behaviours that wait until a lease expires.
const LEASE: Duration = Duration::from_secs(1);

/// Payloads of more than this are too large in the remote harnesses.
const LARGEST_REMOTE: usize = 2 << 20;

fn short_leases(config: EncodedConfig) -> EncodedConfig {
    config
        .with_lease_lifetime(LEASE)
        .with_max_value_bytes(LARGEST_REMOTE)
        .with_operation_deadline(PATIENCE)
}

/// The example of a custom store.
fn bytes_in_a_map() -> Harness<Encoded<byte_store::MapStore>> {
    let store = byte_store::MapStore::default();
    let connect = move || Encoded::with_config(store.clone(), short_leases(EncodedConfig::new()));
    Harness::remote(connect)
        .lease_lifetime(LEASE)
        .largest_payload(LARGEST_REMOTE)
}

mod bytes_in_a_map_of_the_example {
    cache_kit::conformance!(super::bytes_in_a_map());
}

/// A backend that is made of a URL.
trait FromUrl: CacheBackend {
    /// With [`short_leases`], and the largest values.
    fn from_url(url: &str, largest: usize) -> Self;
}

impl FromUrl for RedisBackend {
    fn from_url(url: &str, largest: usize) -> Self {
        let config = RedisConfig::from_url(url).unwrap();
        let config = config
            .with_connect_deadline(PATIENCE)
            .set(|encoded| short_leases(encoded).with_max_value_bytes(largest));
        Self::new(config).unwrap()
    }
}

impl FromUrl for MemcachedBackend {
    fn from_url(url: &str, largest: usize) -> Self {
        let config = MemcachedConfig::from_url(url).unwrap();
        let config = config
            .with_connect_deadline(PATIENCE)
            .set(|encoded| short_leases(encoded).with_max_value_bytes(largest));
        Self::new(config).unwrap()
    }
}

/// The backend that a URL chooses, with [`short_leases`] as its parameters.
impl FromUrl for AnyBackend {
    fn from_url(url: &str, largest: usize) -> Self {
        let mark = if url.contains('?') { '&' } else { '?' };
        let millis = LEASE.as_millis();
        let seconds = PATIENCE.as_secs();
        let url = format!(
            "{url}{mark}lease_lifetime={millis}ms&max_value_bytes={largest}\
             &operation_deadline={seconds}s&connect_deadline={seconds}s"
        );
        Self::from_url(&url).unwrap()
    }
}

/// The servers live as long as the harness.
fn over<B: FromUrl>(servers: impl Send + Sync + 'static, url: String) -> Harness<B> {
    Harness::remote(move || {
        let _alive = &servers;
        B::from_url(&url, LARGEST_REMOTE)
    })
    .lease_lifetime(LEASE)
    .largest_payload(LARGEST_REMOTE)
}

/// A separate server for every behaviour.
fn redis<S: Server, B: FromUrl>(protocol: &str) -> Harness<B> {
    let server = S::start();
    let url = format!("{}?protocol={protocol}", server.url());
    over(server, url)
}

mod redis_resp2 {
    cache_kit::conformance!(super::redis::<super::RedisServer, super::RedisBackend>(
        "resp2"
    ));
}

mod redis_resp3 {
    cache_kit::conformance!(super::redis::<super::RedisServer, super::RedisBackend>(
        "resp3"
    ));
}

mod redis_newer {
    cache_kit::conformance!(super::redis::<super::NewerRedis, super::RedisBackend>(
        "resp3"
    ));
}

/// With its own roots and a certificate of the client.
fn redis_tls<B: FromUrl>() -> Harness<B> {
    let authority = Authority::new();
    let identity = authority.issue();
    let server = RedisServer::options()
        .tls(&authority)
        .asks_clients()
        .start();
    let url = format!(
        "rediss://localhost:{}?ca={}&cert={}&key={}",
        server.tls_port(),
        authority.file().display(),
        identity.certificate.display(),
        identity.key.display(),
    );
    over((server, authority), url)
}

fn redis_unix<B: FromUrl>() -> Harness<B> {
    let server = RedisServer::options().unix_socket().start();
    let url = format!("unix://{}?db=1", server.socket().display());
    over(server, url)
}

/// Servers for all behaviours that run at a time, since they are slow to agree. They end with the
/// last of these. Every behaviour has keys of its own.
struct Shared<T>(Mutex<Weak<T>>);

impl<T: Send + Sync + 'static> Shared<T> {
    const fn new() -> Self {
        Self(Mutex::new(Weak::new()))
    }

    fn harness<B: FromUrl>(
        &self,
        start: impl FnOnce() -> T,
        url: impl FnOnce(&T) -> String,
    ) -> Harness<B> {
        let mut place = self.0.lock().unwrap();
        let servers = place.upgrade().unwrap_or_else(|| Arc::new(start()));
        *place = Arc::downgrade(&servers);
        let url = url(&servers);
        over(servers, url)
    }
}

mod redis_tls_with_own_roots_and_a_certificate {
    cache_kit::conformance!(super::redis_tls::<super::RedisBackend>());
}

mod redis_unix_socket {
    cache_kit::conformance!(super::redis_unix::<super::RedisBackend>());
}

fn redis_sentinel<B: FromUrl>() -> Harness<B> {
    static SERVERS: Shared<Watched> = Shared::new();
    SERVERS.harness(|| Watched::options().sentinels(3).start(), Watched::url)
}

mod redis_sentinel_with_a_replica {
    cache_kit::conformance!(super::redis_sentinel::<super::RedisBackend>());
}

fn redis_sentinel_tls<B: FromUrl>() -> Harness<B> {
    static SERVERS: Shared<(Watched, Authority)> = Shared::new();
    let start = || {
        let authority = Authority::new();
        (Watched::options().tls(&authority).start(), authority)
    };
    SERVERS.harness(start, |(watched, _)| watched.url())
}

mod redis_sentinel_over_tls {
    cache_kit::conformance!(super::redis_sentinel_tls::<super::RedisBackend>());
}

fn redis_cluster_tls<B: FromUrl>() -> Harness<B> {
    static SERVERS: Shared<(RedisCluster, Authority)> = Shared::new();
    let start = || {
        let authority = Authority::new();
        let options = RedisServer::options().tls(&authority);
        (RedisCluster::with(3, 1, &options), authority)
    };
    SERVERS.harness(start, |(cluster, _)| cluster.tls_url())
}

mod redis_cluster_over_tls {
    cache_kit::conformance!(super::redis_cluster_tls::<super::RedisBackend>());
}

fn redis_cluster<B: FromUrl>() -> Harness<B> {
    static SERVERS: Shared<RedisCluster> = Shared::new();
    SERVERS.harness(RedisCluster::start, RedisCluster::url)
}

mod redis_cluster_of_three {
    cache_kit::conformance!(super::redis_cluster::<super::RedisBackend>());
}

/// Memcached counts whole seconds, and adds one so that no lease ends early.
const LEASE_OF_MEMCACHED: Duration = Duration::from_secs(2);

/// Below a server's default limit.
const LARGEST_OF_MEMCACHED: usize = 1_000_000;

fn memcached<B: FromUrl>(servers: Vec<MemcachedServer>) -> Harness<B> {
    let url = MemcachedServer::url_of(&servers);
    Harness::remote(move || {
        let _alive = &servers;
        B::from_url(&url, LARGEST_OF_MEMCACHED)
    })
    .lease_lifetime(LEASE_OF_MEMCACHED)
    .largest_payload(LARGEST_OF_MEMCACHED)
    .clears(false)
}

mod memcached_one_server {
    cache_kit::conformance!(super::memcached::<super::MemcachedBackend>(vec![
        super::MemcachedServer::start()
    ]));
}

mod memcached_three_servers {
    cache_kit::conformance!(super::memcached::<super::MemcachedBackend>(
        (0..3).map(|_| super::MemcachedServer::start()).collect()
    ));
}

mod memcached_unix_socket {
    cache_kit::conformance!(super::memcached::<super::MemcachedBackend>(vec![
        super::MemcachedServer::options().unix_socket().start()
    ]));
}

/// The backend that a URL chooses, in memory.
fn chosen_memory(url: &str) -> Harness<AnyBackend> {
    let backend = AnyBackend::from_url(url).unwrap();
    Harness::in_process(move || backend.clone())
}

mod chosen_memory_quick_cache {
    cache_kit::conformance!(super::chosen_memory("memory://"));
}

mod chosen_memory_moka {
    cache_kit::conformance!(super::chosen_memory("memory://?engine=moka"));
}

mod chosen_redis_resp2 {
    cache_kit::conformance!(super::redis::<super::RedisServer, super::AnyBackend>(
        "resp2"
    ));
}

mod chosen_redis_resp3 {
    cache_kit::conformance!(super::redis::<super::RedisServer, super::AnyBackend>(
        "resp3"
    ));
}

mod chosen_redis_tls_with_own_roots_and_a_certificate {
    cache_kit::conformance!(super::redis_tls::<super::AnyBackend>());
}

mod chosen_redis_unix_socket {
    cache_kit::conformance!(super::redis_unix::<super::AnyBackend>());
}

mod chosen_redis_sentinel_with_a_replica {
    cache_kit::conformance!(super::redis_sentinel::<super::AnyBackend>());
}

mod chosen_redis_sentinel_over_tls {
    cache_kit::conformance!(super::redis_sentinel_tls::<super::AnyBackend>());
}

mod chosen_redis_cluster_of_three {
    cache_kit::conformance!(super::redis_cluster::<super::AnyBackend>());
}

mod chosen_redis_cluster_over_tls {
    cache_kit::conformance!(super::redis_cluster_tls::<super::AnyBackend>());
}

mod chosen_memcached_two_servers {
    cache_kit::conformance!(super::memcached::<super::AnyBackend>(
        (0..2).map(|_| super::MemcachedServer::start()).collect()
    ));
}

/// The example of a custom store, with its type erased.
fn chosen_custom() -> Harness<AnyBackend> {
    let store = byte_store::MapStore::default();
    let connect = move || AnyBackend::custom(store.clone(), short_leases(EncodedConfig::new()));
    Harness::remote(connect)
        .lease_lifetime(LEASE)
        .largest_payload(LARGEST_REMOTE)
}

mod chosen_custom_store {
    cache_kit::conformance!(super::chosen_custom());
}
