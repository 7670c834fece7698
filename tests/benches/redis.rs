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
use std::time::{Duration, Instant};

use cache_kit::backend::{RedisBackend, RedisConfig};
use cache_kit::{
    CacheEntity, CacheFeedMany, CacheService, CacheStrategy, InMemoryRepository, Outcome,
    SharedFeeder,
};
use cache_kit_tests::servers::RedisServer;
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

const ROUND: Duration = Duration::from_millis(250);
const ROUNDS: usize = 21;
const ENTITIES: u64 = 1_000;
const BATCHES: usize = 501;

#[derive(Clone, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    email: String,
}

impl CacheEntity for User {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "user"
    }
}

fn user(id: u64) -> User {
    User {
        id,
        name: format!("name of user {id}"),
        email: format!("user{id}@example.org"),
    }
}

type Service = CacheService<RedisBackend>;

async fn hit(service: Service, id: u64) {
    let nobody = InMemoryRepository::<User>::new();
    let mut feeder = SharedFeeder::<User>::new(id);
    let outcome = service
        .execute(&mut feeder, &nobody, CacheStrategy::Refresh)
        .await
        .unwrap();
    assert!(outcome.is_hit());
    black_box(feeder.entity);
}

async fn bare_get(mut connection: MultiplexedConnection, id: u64) {
    let key = format!("bare:{id}");
    let bytes: Vec<u8> = redis::cmd("GET")
        .arg(key)
        .query_async(&mut connection)
        .await
        .unwrap();
    black_box(postcard::from_bytes::<User>(&bytes).unwrap());
}

/// Loads a missing row, which is then removed again so that the next one misses, too.
async fn miss(service: &Service, users: &InMemoryRepository<User>, id: u64) {
    let mut feeder = SharedFeeder::<User>::new(id);
    let outcome = service
        .execute(&mut feeder, users, CacheStrategy::Refresh)
        .await
        .unwrap();
    assert!(!outcome.is_hit());
    black_box(feeder.entity);
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
    let nobody = InMemoryRepository::<User>::new();
    let mut team = Team {
        ids: ids.to_vec(),
        users: Vec::new(),
    };
    let outcomes = service
        .execute_many(&mut team, &nobody, CacheStrategy::Refresh)
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

/// How many calls a second `tasks` tasks make.
async fn throughput<F>(tasks: u64, call: impl Fn(u64) -> F + Clone + Send + 'static) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for task in 0..tasks {
        let call = call.clone();
        running.spawn(async move {
            let (mut calls, mut id) = (0_u64, task * 31);
            while begun.elapsed() < ROUND {
                id = (id + 7) % ENTITIES;
                call(id).await;
                calls += 1;
            }
            calls
        });
    }
    let mut calls = 0;
    while let Some(done) = running.join_next().await {
        calls += done.unwrap();
    }
    calls as f64 / begun.elapsed().as_secs_f64()
}

/// How many hits a second `runtimes` runtimes of one thread make with `tasks` tasks each: one
/// service, as a server with a runtime for each worker has it.
async fn on_runtimes(service: &Service, runtimes: usize, tasks: u64) -> f64 {
    let mut workers = JoinSet::new();
    for _ in 0..runtimes {
        let service = service.clone();
        workers.spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(throughput(tasks, move |id| hit(service.clone(), id)))
        });
    }
    workers.join_all().await.into_iter().sum()
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

#[tokio::main]
async fn main() {
    let server = RedisServer::start();
    let backend = RedisBackend::new(RedisConfig::from_url(&server.url()).unwrap()).unwrap();
    let service = CacheService::new(backend);
    let client = redis::Client::open(format!("{}?protocol=resp3", server.url())).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();

    let mut users = InMemoryRepository::new();
    for id in 0..ENTITIES {
        users.insert(id, user(id));
        miss(&service, &users, id).await;
        let bytes = postcard::to_stdvec(&user(id)).unwrap();
        let set = redis::cmd("SET")
            .arg(format!("bare:{id}"))
            .arg(bytes)
            .to_owned();
        set.query_async::<()>(&mut connection).await.unwrap();
    }

    println!("hits a second, median of {ROUNDS} rounds");
    println!(
        "{:>6} {:>12} {:>12} {:>8}",
        "tasks", "bare GET", "execute", "ratio"
    );
    for tasks in [1, 16, 64, 256] {
        let (mut bare, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let connection = connection.clone();
            bare.push(throughput(tasks, move |id| bare_get(connection.clone(), id)).await);
            let service = service.clone();
            ours.push(throughput(tasks, move |id| hit(service.clone(), id)).await);
            ratios.push(ours[ours.len() - 1] / bare[bare.len() - 1]);
        }
        println!(
            "{tasks:>6} {:>12.0} {:>12.0} {:>8.2}",
            median(bare),
            median(ours),
            median(ratios)
        );
    }

    let (mut one, mut four, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        one.push(on_runtimes(&service, 1, 16).await);
        four.push(on_runtimes(&service, 4, 4).await);
        ratios.push(four[four.len() - 1] / one[one.len() - 1]);
    }
    println!("\nhits a second of 16 tasks on runtimes of one thread, median of {ROUNDS} rounds");
    println!(
        "one runtime {:.0}, four {:.0}, ratio {:.2}",
        median(one),
        median(four),
        median(ratios)
    );

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
    let (mut bare, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        server.flush();
        let begun = Instant::now();
        for id in 0..ENTITIES {
            bare_miss(&mut connection, &scripts, id).await;
        }
        bare.push(begun.elapsed().as_micros() as f64 / ENTITIES as f64);
        let begun = Instant::now();
        for id in 0..ENTITIES {
            miss(&service, &users, id).await;
        }
        ours.push(begun.elapsed().as_micros() as f64 / ENTITIES as f64);
        ratios.push(ours[ours.len() - 1] / bare[bare.len() - 1]);
    }
    println!("\na miss, one task, in µs, median of {ROUNDS} rounds of {ENTITIES}");
    println!(
        "three bare commands {:.0}, execute {:.0}, ratio {:.2}",
        median(bare),
        median(ours),
        median(ratios)
    );

    for id in 0..ENTITIES {
        let bytes = postcard::to_stdvec(&user(id)).unwrap();
        let set = redis::cmd("SET")
            .arg(format!("bare:{id}"))
            .arg(bytes)
            .to_owned();
        set.query_async::<()>(&mut connection).await.unwrap();
    }
    let ids: Vec<u64> = (0..ENTITIES).collect();
    let (mut bare, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..BATCHES {
        let begun = Instant::now();
        bare_mget(&mut connection, &ids).await;
        bare.push(begun.elapsed().as_micros() as f64);
        let begun = Instant::now();
        hit_many(&service, &ids).await;
        ours.push(begun.elapsed().as_micros() as f64);
        ratios.push(ours[ours.len() - 1] / bare[bare.len() - 1]);
    }
    println!("\n{ENTITIES} hits in one call, in µs, median of {BATCHES}");
    println!(
        "bare MGET with decode {:.0}, execute_many {:.0}, ratio {:.2}",
        median(bare),
        median(ours),
        median(ratios)
    );

    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        server.flush();
        let begun = Instant::now();
        miss_many(&service, &users, &ids).await;
        took.push(begun.elapsed().as_micros() as f64 / 1_000.0);
    }
    println!("\n{ENTITIES} misses in one call, in ms, median of {ROUNDS}");
    println!("execute_many {:.1}", median(took));
}
