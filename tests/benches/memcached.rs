//! The cost of Memcached through our backend, compared with the client's own commands.
//!
//! `cargo bench -p cache-kit-tests --bench memcached`: rounds of both sides alternate in one
//! process on one server, and the medians are compared, so that the ratios mean something on a
//! shared machine. Both sides decode their answers.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot run says why"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_memcached::{AsciiProtocol, Client};
use cache_kit::backend::{CacheBackend, Lookup, MemcachedBackend, MemcachedConfig};
use cache_kit::clock::{Clock, Timestamp};
use cache_kit::{CacheEntity, CacheService, CacheStrategy, InMemoryRepository, SharedFeeder};
use cache_kit_tests::servers::MemcachedServer;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

const ROUND: Duration = Duration::from_millis(250);
const ROUNDS: usize = 15;
const ENTITIES: u64 = 1_000;

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

type Service = CacheService<MemcachedBackend>;

async fn hit(service: &Service, id: u64) {
    let nobody = InMemoryRepository::<User>::new();
    let mut feeder = SharedFeeder::<User>::new(id);
    let outcome = service
        .execute(&mut feeder, &nobody, CacheStrategy::Refresh)
        .await
        .unwrap();
    assert!(outcome.is_hit());
    black_box(feeder.entity);
}

async fn bare_get(client: &mut Client, id: u64) {
    let value = client.get(format!("bare:{id}")).await.unwrap().unwrap();
    black_box(postcard::from_bytes::<User>(&value.data.unwrap()).unwrap());
}

async fn batch(backend: &MemcachedBackend, ids: &[u64], now: Timestamp) {
    let keys: Vec<String> = ids.iter().map(|id| format!("user:{id}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for found in backend.get_many::<User>(&keys, now).await {
        assert!(matches!(black_box(found), Ok(Lookup::Hit { .. })));
    }
}

async fn bare_batch(client: &mut Client, ids: &[u64]) {
    let keys: Vec<String> = ids.iter().map(|id| format!("bare:{id}")).collect();
    let values = client.get_multi(&keys).await.unwrap();
    assert_eq!(values.len(), ids.len());
    for value in values {
        black_box(postcard::from_bytes::<User>(&value.data.unwrap()).unwrap());
    }
}

/// How many calls a second `tasks` tasks make.
async fn throughput<F>(tasks: u64, call: impl Fn(u64, u64) -> F + Clone + Send + 'static) -> f64
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
                call(task, id).await;
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

/// How many calls a second `count` runtimes of one thread make, a task on each.
fn runtimes<F>(count: u64, call: impl Fn(u64, u64) -> F + Clone + Send + 'static) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    let workers: Vec<_> = (0..count)
        .map(|worker| {
            let call = call.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(throughput(1, move |_, id| call(worker, id)))
            })
        })
        .collect();
    let ended = workers.into_iter().map(|worker| worker.join().unwrap());
    ended.sum()
}

/// The median of all ratios of two neighbours, and of both sides.
fn report(what: &str, bare: Vec<f64>, ours: Vec<f64>) {
    let ratios = ours.iter().zip(&bare).map(|(ours, bare)| ours / bare);
    let ratio = median(ratios.collect());
    let (bare, ours) = (median(bare), median(ours));
    println!("{what:<22} {bare:>12.0} {ours:>12.0} {ratio:>8.2}");
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

#[tokio::main]
async fn main() {
    // One thread, which serves both sides: with more, chance decides which side gets the warm one.
    let server = MemcachedServer::options().args(["-t", "1"]).start();
    let config = MemcachedConfig::from_url(&server.url()).unwrap();
    let service = CacheService::new(MemcachedBackend::new(config).unwrap());
    let dsn = format!("tcp://{}", server.name());
    let mut clients = Vec::new();
    for _ in 0..16 {
        clients.push(Mutex::new(Client::new(&dsn).await.unwrap()));
    }
    let clients = Arc::new(clients);

    let mut users = InMemoryRepository::new();
    for id in 0..ENTITIES {
        users.insert(id, user(id));
        let mut feeder = SharedFeeder::<User>::new(id);
        let loaded = service.execute(&mut feeder, &users, CacheStrategy::Refresh);
        loaded.await.unwrap();
        let bytes = postcard::to_stdvec(&user(id)).unwrap();
        let mut client = clients[0].lock().await;
        let set = client.set(format!("bare:{id}"), bytes.as_slice(), None, None);
        set.await.unwrap();
    }

    println!("calls a second, median of {ROUNDS} rounds");
    println!("{:<22} {:>12} {:>12} {:>8}", "", "client", "ours", "ratio");
    // As many clients as we may open connections: each task of the bare side has its own.
    for tasks in [1, 16] {
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let all = Arc::clone(&clients);
            let get = move |task: u64, id| {
                let all = Arc::clone(&all);
                async move { bare_get(&mut *all[task as usize].lock().await, id).await }
            };
            bare.push(throughput(tasks, get).await);
            let service = service.clone();
            let get = move |_, id| {
                let service = service.clone();
                async move { hit(&service, id).await }
            };
            ours.push(throughput(tasks, get).await);
        }
        report(&format!("hit, {tasks} tasks"), bare, ours);
    }

    // The same callers on one runtime, and on as many as there are.
    let (mut one, mut many) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let service = service.clone();
        let get = move |_, id| {
            let service = service.clone();
            async move { hit(&service, id).await }
        };
        one.push(throughput(4, get.clone()).await);
        let many_at_once = tokio::task::spawn_blocking(move || runtimes(4, get));
        many.push(many_at_once.await.unwrap());
    }
    println!(
        "{:<22} {:>12} {:>12} {:>8}",
        "", "one runtime", "four", "ratio"
    );
    report("hit, 4 tasks", one, many);
    println!("{:<22} {:>12} {:>12} {:>8}", "", "client", "ours", "ratio");

    let (backend, now) = (service.backend(), Clock::system().now());
    for count in [100, 1_000] {
        let ids: Vec<u64> = (0..count).collect();
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        let mut client = clients[0].lock().await;
        for _ in 0..ROUNDS {
            let (begun, mut calls) = (Instant::now(), 0);
            while begun.elapsed() < ROUND {
                bare_batch(&mut client, &ids).await;
                calls += 1;
            }
            bare.push(f64::from(calls) / begun.elapsed().as_secs_f64());
            let (begun, mut calls) = (Instant::now(), 0);
            while begun.elapsed() < ROUND {
                batch(backend, &ids, now).await;
                calls += 1;
            }
            ours.push(f64::from(calls) / begun.elapsed().as_secs_f64());
        }
        report(&format!("batch of {count}"), bare, ours);
    }
}
