//! The cost of Redis through the public call, compared with the same commands sent bare.
//!
//! `cargo bench -p cache-kit-tests --bench redis`: rounds of both sides alternate in one process on
//! one server, and the medians are compared, so that the ratios mean something on a shared machine.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot run says why"
)]

use std::hint::black_box;
use std::sync::Arc;

use cache_kit::backend::{RedisBackend, RedisConfig};
use cache_kit::{CacheFeedMany, CacheService, CacheStrategy, InMemoryRepository, Outcome};
use cache_kit_tests::bench::{
    USERS, User, compare, heads, hit, median, micros, miss, on_runtimes, throughput, user, users,
};
use cache_kit_tests::servers::RedisServer;
use redis::aio::MultiplexedConnection;

const ROUNDS: usize = 21;
const BATCHES: usize = 501;

type Service = CacheService<RedisBackend>;

async fn bare_get(mut connection: MultiplexedConnection, id: u64) {
    let key = format!("bare:{id}");
    let bytes: Vec<u8> = redis::cmd("GET")
        .arg(key)
        .query_async(&mut connection)
        .await
        .unwrap();
    black_box(postcard::from_bytes::<User>(&bytes).unwrap());
}

/// The three commands of a miss, one after the other: look, lease, store.
async fn bare_miss(connection: &mut MultiplexedConnection, scripts: &[redis::Script; 2], id: u64) {
    let key = format!("bare:miss:{id}");
    let none: Option<Vec<u8>> = redis::cmd("GET")
        .arg(&key)
        .query_async(connection)
        .await
        .unwrap();
    assert!(none.is_none());
    let placeholder = [7_u8; 40];
    let taken: Option<Vec<u8>> = scripts[0]
        .key(&key)
        .arg(placeholder.as_slice())
        .arg(10_000)
        .invoke_async(connection)
        .await
        .unwrap();
    assert!(taken.is_none());
    let value = postcard::to_stdvec(&user(id)).unwrap();
    let stored: bool = scripts[1]
        .key(&key)
        .arg(placeholder.as_slice())
        .arg(value)
        .arg(3_600_000)
        .invoke_async(connection)
        .await
        .unwrap();
    assert!(stored);
}

/// Asks for many users in one call.
struct Team {
    ids: Vec<u64>,
    users: Vec<Option<Arc<User>>>,
}

impl CacheFeedMany<User> for Team {
    fn entity_ids(&mut self) -> Vec<u64> {
        self.ids.clone()
    }

    fn feed_many(&mut self, entities: Vec<Option<Arc<User>>>) {
        self.users = entities;
    }
}

async fn hit_many(service: &Service, ids: &[u64]) {
    let none = InMemoryRepository::<User>::new();
    let mut team = Team {
        ids: ids.to_vec(),
        users: Vec::new(),
    };
    let outcomes = service
        .execute_many(&mut team, &none, CacheStrategy::Refresh)
        .await
        .unwrap();
    assert!(outcomes.iter().all(Outcome::is_hit));
    black_box(team.users);
}

async fn bare_mget(connection: &mut MultiplexedConnection, ids: &[u64]) {
    let keys: Vec<String> = ids.iter().map(|id| format!("bare:{id}")).collect();
    let values: Vec<Vec<u8>> = redis::cmd("MGET")
        .arg(keys)
        .query_async(connection)
        .await
        .unwrap();
    let decode = |bytes: &Vec<u8>| postcard::from_bytes::<User>(bytes).unwrap();
    black_box(values.iter().map(decode).collect::<Vec<_>>());
}

/// Loads and stores what is missing, all in one call.
async fn miss_many(service: &Service, users: &InMemoryRepository<User>, ids: &[u64]) {
    let mut team = Team {
        ids: ids.to_vec(),
        users: Vec::new(),
    };
    let outcomes = service
        .execute_many(&mut team, users, CacheStrategy::Refresh)
        .await
        .unwrap();
    assert!(!outcomes.iter().any(Outcome::is_hit));
    black_box(team.users);
}

async fn set_bare(connection: &mut MultiplexedConnection) {
    for id in 0..USERS {
        let bytes = postcard::to_stdvec(&user(id)).unwrap();
        let set = redis::cmd("SET")
            .arg(format!("bare:{id}"))
            .arg(bytes)
            .to_owned();
        set.query_async::<()>(connection).await.unwrap();
    }
}

#[tokio::main]
async fn main() {
    let server = RedisServer::start();
    let backend = RedisBackend::new(RedisConfig::from_url(&server.url()).unwrap()).unwrap();
    let service = CacheService::new(backend);
    let client = redis::Client::open(format!("{}?protocol=resp3", server.url())).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let users = users();
    for id in 0..USERS {
        miss(&service, &users, id).await;
    }
    set_bare(&mut connection).await;

    println!("hits a second, median of {ROUNDS} rounds");
    println!("{:>6} {}", "tasks", heads("bare GET", "execute"));
    let get = {
        let connection = connection.clone();
        move |_, id| bare_get(connection.clone(), id)
    };
    let hits = {
        let service = service.clone();
        move |_, id| hit(service.clone(), id)
    };
    for tasks in [1, 16, 64, 256] {
        let medians = compare(
            ROUNDS,
            async || throughput(tasks, get.clone()).await,
            async || throughput(tasks, hits.clone()).await,
        );
        println!("{tasks:>6} {}", medians.await);
    }

    let medians = compare(
        ROUNDS,
        async || on_runtimes(1, 16, hits.clone()).await,
        async || on_runtimes(4, 4, hits.clone()).await,
    );
    let medians = medians.await;
    println!("\nhits a second of 16 tasks on runtimes of one thread, median of {ROUNDS} rounds");
    println!("{}", medians.in_words("one runtime", "four"));

    let scripts = [
        redis::Script::new(
            "local head = redis.pcall('GETRANGE', KEYS[1], 0, 79)
             if head ~= '' then return head end
             redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return false",
        ),
        redis::Script::new(
            "if redis.pcall('GETRANGE', KEYS[1], 0, 79) ~= ARGV[1] then return 0 end
             redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) return 1",
        ),
    ];
    let medians = compare(
        ROUNDS,
        async || {
            server.flush();
            let misses = async {
                for id in 0..USERS {
                    bare_miss(&mut connection, &scripts, id).await;
                }
            };
            micros(misses).await / USERS as f64
        },
        async || {
            let misses = async {
                for id in 0..USERS {
                    miss(&service, &users, id).await;
                }
            };
            micros(misses).await / USERS as f64
        },
    );
    let medians = medians.await;
    println!("\na miss, one task, in µs, median of {ROUNDS} rounds of {USERS}");
    println!("{}", medians.in_words("three bare commands", "execute"));

    set_bare(&mut connection).await;
    let ids: Vec<u64> = (0..USERS).collect();
    let medians = compare(
        BATCHES,
        async || micros(bare_mget(&mut connection, &ids)).await,
        async || micros(hit_many(&service, &ids)).await,
    );
    let medians = medians.await;
    println!("\n{USERS} hits in one call, in µs, median of {BATCHES}");
    println!(
        "{}",
        medians.in_words("bare MGET with decode", "execute_many")
    );

    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        server.flush();
        took.push(micros(miss_many(&service, &users, &ids)).await / 1_000.0);
    }
    println!("\n{USERS} misses in one call, in ms, median of {ROUNDS}");
    println!("execute_many {:.1}", median(took));
}
