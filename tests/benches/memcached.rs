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

use async_memcached::{AsciiProtocol, Client};
use cache_kit::CacheService;
use cache_kit::backend::{CacheBackend, Lookup, MemcachedBackend, MemcachedConfig};
use cache_kit::clock::{Clock, Timestamp};
use cache_kit_tests::bench::{
    USERS, User, compare, heads, hit, miss, on_runtimes, rate, throughput, user, users,
};
use cache_kit_tests::servers::MemcachedServer;
use tokio::sync::Mutex;

const ROUNDS: usize = 15;

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

    let users = users();
    for id in 0..USERS {
        miss(&service, &users, id).await;
        let bytes = postcard::to_stdvec(&user(id)).unwrap();
        let mut client = clients[0].lock().await;
        let set = client.set(format!("bare:{id}"), bytes.as_slice(), None, None);
        set.await.unwrap();
    }

    println!("calls a second, median of {ROUNDS} rounds");
    println!("{:<22} {}", "", heads("client", "ours"));
    let get = {
        let clients = Arc::clone(&clients);
        move |task: u64, id| {
            let clients = Arc::clone(&clients);
            async move { bare_get(&mut *clients[task as usize].lock().await, id).await }
        }
    };
    let hits = {
        let service = service.clone();
        move |_, id| hit(service.clone(), id)
    };
    // As many clients as we may open connections: each task of the bare side has its own.
    for tasks in [1, 16] {
        let medians = compare(
            ROUNDS,
            async || throughput(tasks, get.clone()).await,
            async || throughput(tasks, hits.clone()).await,
        );
        println!("{:<22} {}", format!("hit, {tasks} tasks"), medians.await);
    }

    // The same callers on one runtime, and on as many as there are.
    let medians = compare(
        ROUNDS,
        async || throughput(4, hits.clone()).await,
        async || on_runtimes(4, 1, hits.clone()).await,
    );
    let medians = medians.await;
    println!("{:<22} {}", "", heads("one runtime", "four"));
    println!("{:<22} {medians}", "hit, 4 tasks");
    println!("{:<22} {}", "", heads("client", "ours"));

    let (backend, now) = (service.backend(), Clock::system().now());
    for count in [100, 1_000] {
        let ids: Vec<u64> = (0..count).collect();
        let mut client = clients[0].lock().await;
        let medians = compare(
            ROUNDS,
            async || rate(async || bare_batch(&mut client, &ids).await).await,
            async || rate(async || batch(backend, &ids, now).await).await,
        );
        println!("{:<22} {}", format!("batch of {count}"), medians.await);
    }
}
