//! Requests that are dropped at any moment: no answer may reach another caller. On one server, and on
//! a cluster whose slots move meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cache_kit::backend::ByteStore;
use cache_kit_tests::servers::{RedisCluster, RedisServer};
use tokio::task::JoinSet;

use super::{Service, service_by_default};

const KEYS: usize = 200;
const TASKS: usize = 64;

/// `CACHE_KIT_STORM` sets how many requests are dropped.
fn dropped_at_least() -> usize {
    let wanted = std::env::var("CACHE_KIT_STORM").ok();
    wanted
        .and_then(|count| count.parse().ok())
        .unwrap_or(10_000)
}

fn key(n: usize) -> String {
    format!("storm:{n}")
}

/// Lengths differ, so that answers are cut everywhere.
fn value(n: usize) -> Vec<u8> {
    format!("value of {n} {}", "x".repeat(n * 7)).into_bytes()
}

fn put(server: &RedisServer, n: usize) {
    let reply = server.command(&[b"SET".as_slice(), key(n).as_bytes(), &value(n)]);
    assert!(reply.is_ok(), "{reply:?}");
}

/// Asks for values and drops most of the requests, until enough were dropped. Calls `meanwhile` again
/// and again.
async fn storm(service: Service, meanwhile: impl Fn() + Send + 'static) {
    let wanted = dropped_at_least();
    let dropped = Arc::new(AtomicUsize::new(0));
    let ended = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (service, dropped, ended) = (service.clone(), Arc::clone(&dropped), Arc::clone(&ended));
        tasks.spawn(async move {
            let store = service.backend().byte_store();
            let random = &mut fastrand::Rng::with_seed(task as u64);
            let mut right = 0;
            while !ended.load(Ordering::Relaxed) {
                let count = match random.u8(..4) {
                    0 => random.usize(2..6),
                    _ => 1,
                };
                let numbers: Vec<usize> = (0..count).map(|_| random.usize(..KEYS)).collect();
                let keys: Vec<String> = numbers.iter().map(|n| key(*n)).collect();
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                // Shorter than most answers take, except for every fourth caller, which is patient.
                let patience = match random.u8(..4) {
                    0 => Duration::from_secs(60),
                    _ => Duration::from_micros(random.u64(..600)),
                };
                match tokio::time::timeout(patience, store.get_many(&keys)).await {
                    Err(_) => drop(dropped.fetch_add(1, Ordering::Relaxed)),
                    Ok(values) => {
                        for (n, found) in numbers.iter().zip(values) {
                            // On a busy machine, nodes may take each other for dead.
                            if let Ok(found) = found {
                                assert_eq!(found, Some(value(*n)), "of {n}");
                                right += 1;
                            }
                        }
                    }
                }
            }
            right
        });
    }
    let watch = tokio::task::spawn_blocking(move || {
        while dropped.load(Ordering::Relaxed) < wanted {
            meanwhile();
        }
        ended.store(true, Ordering::Relaxed);
    });
    let right: usize = tasks.join_all().await.into_iter().sum();
    watch.await.unwrap();
    assert!(right > TASKS, "{right} were answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_server_no_answer_reaches_another_caller() {
    let server = RedisServer::start();
    (0..KEYS).for_each(|n| put(&server, n));
    let service = service_by_default(&server.url());
    storm(service, || {
        std::thread::park_timeout(Duration::from_millis(1))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_cluster_no_answer_reaches_another_caller() {
    let cluster = RedisCluster::with(3, 0, &RedisServer::options());
    (0..KEYS).for_each(|n| put(cluster.node_of(&key(n)), n));
    let service = service_by_default(&cluster.url());
    storm(service, move || {
        let key = key(fastrand::usize(..KEYS));
        let from = cluster.node_of(&key).port();
        let to = fastrand::usize(..cluster.nodes().len());
        if cluster.nodes()[to].port() != from {
            let moved = cluster.begin_move(&key, to);
            moved.keys();
            moved.end();
        }
    })
    .await;
}
