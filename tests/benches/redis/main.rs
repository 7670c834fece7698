//! The cost of Redis through the public call, compared with the same commands sent bare.
//!
//! `cargo bench -p cache-kit-tests --bench redis`: rounds of both sides alternate in one process on
//! one server, and the medians are compared, so that the ratios mean something on a shared machine.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot run says why"
)]

mod bare;

use std::hint::black_box;
use std::sync::Arc;

use cache_kit::backend::{RedisBackend, RedisConfig};
use cache_kit::{
    CacheEntity, CacheFeedMany, CacheService, CacheStrategy, DataRepository, InMemoryRepository,
    Outcome,
};
use cache_kit_tests::bench::{
    Line, NoRows, USERS, User, article, compare, heads, hit, median, micros, miss, on_runtimes,
    throughput, user, users,
};
use cache_kit_tests::servers::{RedisCluster, RedisServer};
use redis::aio::ConnectionLike;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

const ROUNDS: usize = 21;
const BATCHES: usize = 201;

/// The most ids of one call.
const MOST: u64 = 100_000;

type Service = CacheService<RedisBackend>;

/// How many microseconds a call takes if `tasks` tasks share the calls for all users.
async fn shared<F>(tasks: u64, call: impl Fn(u64) -> F + Clone + Send + 'static) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    let calls = async {
        let mut running = JoinSet::new();
        for task in 0..tasks {
            let call = call.clone();
            running.spawn(async move {
                for id in (task..USERS).step_by(tasks as usize) {
                    call(id).await;
                }
            });
        }
        running.join_all().await;
    };
    micros(calls).await / USERS as f64
}

/// Asks for many rows in one call.
struct Many<T> {
    ids: Vec<u64>,
    rows: Vec<Option<Arc<T>>>,
}

impl<T: CacheEntity<Key = u64>> CacheFeedMany<T> for Many<T> {
    fn entity_ids(&mut self) -> Vec<u64> {
        self.ids.clone()
    }

    fn feed_many(&mut self, entities: Vec<Option<Arc<T>>>) {
        self.rows = entities;
    }
}

async fn ask<T: CacheEntity<Key = u64>>(
    service: &Service,
    rows: &impl DataRepository<T>,
    ids: &[u64],
) -> Vec<Outcome> {
    let mut many = Many {
        ids: ids.to_vec(),
        rows: Vec::new(),
    };
    let outcomes = service.execute_many(&mut many, rows, CacheStrategy::Refresh);
    let outcomes = outcomes.await.unwrap();
    black_box(many.rows);
    outcomes
}

async fn hit_many<T: CacheEntity<Key = u64>>(service: &Service, ids: &[u64]) {
    let outcomes = ask::<T>(service, &NoRows, ids).await;
    assert!(outcomes.iter().all(Outcome::is_hit));
}

/// Loads and stores what is missing, all in one call.
async fn miss_many<T: CacheEntity<Key = u64>>(
    service: &Service,
    rows: &InMemoryRepository<T>,
    ids: &[u64],
) {
    let outcomes = ask(service, rows, ids).await;
    assert!(!outcomes.iter().any(Outcome::is_hit));
}

/// Compares a call for many rows with one command for them.
async fn batches<T, C>(
    service: &Service,
    connection: &mut C,
    row: impl Fn(u64) -> T,
    what: &str,
    line: Line,
) where
    T: CacheEntity<Key = u64> + Serialize + DeserializeOwned,
    C: ConnectionLike,
{
    let ids: Vec<u64> = (0..USERS).collect();
    let rows = InMemoryRepository::new();
    for id in &ids {
        rows.insert(*id, row(*id));
    }
    ask(service, &rows, &ids).await;
    bare::set(connection, &row, &ids).await;
    let bytes = postcard::to_stdvec(&row(USERS / 2)).unwrap().len();
    let medians = compare(
        BATCHES,
        async || micros(bare::mget::<T>(connection, &ids)).await,
        async || micros(hit_many::<T>(service, &ids)).await,
    );
    let medians = medians.await;
    println!("\n{USERS} hits in one call, {what} of {bytes} bytes, in µs, median of {BATCHES}");
    println!(
        "{} {}",
        medians.in_words("bare MGET with decode", "execute_many"),
        line.verdict(medians.ratio)
    );
}

/// Compares hits of single keys.
async fn hits<C>(service: &Service, connection: &C, lines: &[(u64, f64)])
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    println!("hits a second, median of {ROUNDS} rounds");
    println!("{:>6} {}", "tasks", heads("bare GET", "execute"));
    let get = {
        let connection = connection.clone();
        move |_, id| bare::get(connection.clone(), id)
    };
    let hits = {
        let service = service.clone();
        move |_, id| hit(service.clone(), id)
    };
    for (tasks, line) in lines {
        let medians = compare(
            ROUNDS,
            async || throughput(*tasks, get.clone()).await,
            async || throughput(*tasks, hits.clone()).await,
        );
        let medians = medians.await;
        let verdict = Line::AtLeast(*line).verdict(medians.ratio);
        println!("{tasks:>6} {medians} {verdict}");
    }
}

/// Compares misses of single keys. `flush` empties the servers.
async fn misses<C>(service: &Service, connection: &C, lines: &[(u64, f64)], flush: impl Fn())
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    println!("\na miss, in µs, median of {ROUNDS} rounds of {USERS}");
    println!("{:>6} {}", "tasks", heads("GET, SET", "execute"));
    let bare = {
        let connection = connection.clone();
        move |id| bare::miss(connection.clone(), id)
    };
    let users = Arc::new(users());
    let ours = {
        let service = service.clone();
        move |id| {
            let (service, users) = (service.clone(), Arc::clone(&users));
            async move { miss(&service, &users, id).await }
        }
    };
    for (tasks, line) in lines {
        let medians = compare(
            ROUNDS,
            async || {
                flush();
                shared(*tasks, bare.clone()).await
            },
            async || {
                flush();
                shared(*tasks, ours.clone()).await
            },
        );
        let medians = medians.await;
        let verdict = Line::AtMost(*line).verdict(medians.ratio);
        println!("{tasks:>6} {medians} {verdict}");
    }
    flush();
}

fn service(url: &str) -> Service {
    CacheService::new(RedisBackend::new(RedisConfig::from_url(url).unwrap()).unwrap())
}

/// `-- server` or `-- cluster` compares only that.
#[tokio::main]
async fn main() {
    let wanted = |what: &str| {
        let mut words = std::env::args()
            .skip(1)
            .filter(|word| !word.starts_with('-'));
        words.all(|word| word == what)
    };
    if wanted("server") {
        one_server().await;
    }
    if wanted("cluster") {
        println!("\na cluster of three, beside the client's own");
        cluster().await;
    }
}

async fn cluster() {
    let cluster = RedisCluster::with(3, 0, &RedisServer::options());
    let service = service(&cluster.url());
    let nodes = cluster.nodes().iter().map(RedisServer::url);
    let client = redis::cluster::ClusterClient::new(nodes).unwrap();
    let mut connection = client.get_async_connection().await.unwrap();
    let ids: Vec<u64> = (0..USERS).collect();
    ask(&service, &users(), &ids).await;
    bare::set(&mut connection, user, &ids).await;
    hits(&service, &connection, &[(1, 0.9), (16, 0.9), (256, 1.0)]).await;
    let flush = || cluster.nodes().iter().for_each(RedisServer::flush);
    misses(&service, &connection, &[(1, 1.4), (16, 1.8)], flush).await;
    let line = Line::AtMost(1.2);
    batches(&service, &mut connection, user, "users", line).await;
    batches(&service, &mut connection, article, "articles", line).await;
}

async fn one_server() {
    let server = RedisServer::start();
    let service = service(&server.url());
    let client = redis::Client::open(format!("{}?protocol=resp3", server.url())).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let ids: Vec<u64> = (0..USERS).collect();
    ask(&service, &users(), &ids).await;
    bare::set(&mut connection, user, &ids).await;
    let lines = [(1, 0.95), (16, 1.0), (64, 1.2), (256, 1.4)];
    hits(&service, &connection, &lines).await;

    let calls = {
        let service = service.clone();
        move |_, id| hit(service.clone(), id)
    };
    let medians = compare(
        ROUNDS,
        async || on_runtimes(1, 16, calls.clone()).await,
        async || on_runtimes(4, 4, calls.clone()).await,
    );
    let medians = medians.await;
    println!("\nhits a second of 16 tasks on runtimes of one thread, median of {ROUNDS} rounds");
    println!("{}", medians.in_words("one runtime", "four"));

    misses(&service, &connection, &[(1, 1.4), (16, 1.8)], || {
        server.flush()
    })
    .await;
    let (small, medium) = (Line::AtMost(1.2), Line::AtMost(1.1));
    batches(&service, &mut connection, user, "users", small).await;
    batches(&service, &mut connection, article, "articles", medium).await;

    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        server.flush();
        took.push(micros(miss_many(&service, &users(), &ids)).await / 1_000.0);
    }
    println!("\n{USERS} misses in one call, in ms, median of {ROUNDS}");
    println!("execute_many {:.1}", median(took));

    let many: Vec<u64> = (0..MOST).collect();
    let rows = InMemoryRepository::new();
    for id in &many {
        rows.insert(*id, user(*id));
    }
    ask(&service, &rows, &many).await;
    let per_id = async |ids: &[u64]| {
        let calls = MOST as usize / ids.len();
        let hits = async {
            for _ in 0..calls {
                hit_many::<User>(&service, ids).await;
            }
        };
        micros(hits).await / MOST as f64 * 1_000.0
    };
    let medians = compare(
        ROUNDS,
        async || per_id(&ids).await,
        async || per_id(&many).await,
    );
    let medians = medians.await;
    println!("\na hit of a batch, in ns for each id, median of {ROUNDS}");
    println!(
        "{} {}",
        medians.in_words("of 1000", "of 100000"),
        Line::AtMost(1.2).verdict(medians.ratio)
    );
}
