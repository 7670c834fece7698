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

use std::sync::LazyLock;
use std::time::Duration;

use cache_kit::backend::{
    AnyBackend, CacheBackend, Encoded, EncodedConfig, Engine, InMemoryBackend, MemcachedBackend,
    MemcachedConfig, RedisBackend, RedisConfig,
};
use cache_kit::testing::FaultyBackend;
use cache_kit::testing::conformance::{Harness, Specimen};
use cache_kit_tests::servers::{MemcachedServer, NewerRedis, RedisCluster, RedisServer, Server};
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
        // A busy machine must not look like a broken server.
        .with_operation_deadline(Duration::from_secs(30))
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

/// A separate server for every behaviour; it lives as long as the harness that made it.
fn redis<S: Server>(protocol: &str) -> Harness<RedisBackend> {
    let server = S::start();
    let url = format!("{}?protocol={protocol}", server.url());
    Harness::remote(move || {
        let _alive = &server;
        let config = RedisConfig::from_url(&url).unwrap().set(short_leases);
        RedisBackend::new(config).unwrap()
    })
    .lease_lifetime(LEASE)
    .largest_payload(LARGEST_REMOTE)
}

mod redis_resp2 {
    cache_kit::conformance!(super::redis::<super::RedisServer>("resp2"));
}

mod redis_resp3 {
    cache_kit::conformance!(super::redis::<super::RedisServer>("resp3"));
}

mod redis_newer {
    cache_kit::conformance!(super::redis::<super::NewerRedis>("resp3"));
}

/// One cluster for all behaviours: six servers are slow to agree. Every behaviour has keys of its own.
static CLUSTER: LazyLock<RedisCluster> = LazyLock::new(RedisCluster::start);

fn redis_cluster(cluster: &'static RedisCluster) -> Harness<RedisBackend> {
    let url = cluster.url();
    Harness::remote(move || {
        let config = RedisConfig::from_url(&url).unwrap().set(short_leases);
        RedisBackend::new(config).unwrap()
    })
    .lease_lifetime(LEASE)
    .largest_payload(LARGEST_REMOTE)
}

mod redis_cluster_of_three {
    cache_kit::conformance!(super::redis_cluster(&super::CLUSTER));
}

/// Memcached counts whole seconds, and adds one so that no lease ends early.
const LEASE_OF_MEMCACHED: Duration = Duration::from_secs(2);

/// Below a server's default limit.
const LARGEST_OF_MEMCACHED: usize = 1_000_000;

fn memcached(servers: Vec<MemcachedServer>) -> Harness<MemcachedBackend> {
    let url = MemcachedServer::url_of(&servers);
    Harness::remote(move || {
        let _alive = &servers;
        let config = MemcachedConfig::from_url(&url).unwrap();
        let config =
            config.set(|encoded| short_leases(encoded).with_max_value_bytes(LARGEST_OF_MEMCACHED));
        MemcachedBackend::new(config).unwrap()
    })
    .lease_lifetime(LEASE_OF_MEMCACHED)
    .largest_payload(LARGEST_OF_MEMCACHED)
}

mod memcached_one_server {
    cache_kit::conformance!(super::memcached(vec![super::MemcachedServer::start()]));
}

mod memcached_three_servers {
    cache_kit::conformance!(super::memcached(
        (0..3).map(|_| super::MemcachedServer::start()).collect()
    ));
}

mod memcached_unix_socket {
    cache_kit::conformance!(super::memcached(vec![
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

/// [`short_leases`], as the parameters of a URL.
fn chosen(url: &str, mark: char, largest: usize) -> AnyBackend {
    let millis = LEASE.as_millis();
    let url = format!(
        "{url}{mark}lease_lifetime={millis}ms&max_value_bytes={largest}&operation_deadline=30s"
    );
    AnyBackend::from_url(&url).unwrap()
}

fn chosen_redis(protocol: &str) -> Harness<AnyBackend> {
    let server = RedisServer::start();
    let url = format!("{}?protocol={protocol}", server.url());
    Harness::remote(move || {
        let _alive = &server;
        chosen(&url, '&', LARGEST_REMOTE)
    })
    .lease_lifetime(LEASE)
    .largest_payload(LARGEST_REMOTE)
}

mod chosen_redis_resp2 {
    cache_kit::conformance!(super::chosen_redis("resp2"));
}

mod chosen_redis_resp3 {
    cache_kit::conformance!(super::chosen_redis("resp3"));
}

fn chosen_memcached() -> Harness<AnyBackend> {
    let servers = [MemcachedServer::start(), MemcachedServer::start()];
    let url = MemcachedServer::url_of(&servers);
    Harness::remote(move || {
        let _alive = &servers;
        chosen(&url, '?', LARGEST_OF_MEMCACHED)
    })
    .lease_lifetime(LEASE_OF_MEMCACHED)
    .largest_payload(LARGEST_OF_MEMCACHED)
}

mod chosen_memcached_two_servers {
    cache_kit::conformance!(super::chosen_memcached());
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
