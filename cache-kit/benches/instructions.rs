//! How many instructions a hit in memory executes, beside the bare map under it. Unlike a time, the
//! number is the same on a busy machine.
//!
//! `cargo bench -p cache-kit --bench instructions`: runs itself under valgrind, with many hits and
//! with twice as many, and prints the difference for one hit.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot run says why"
)]

use std::env;
use std::hint::black_box;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cache_kit::backend::{Engine, InMemoryBackend};
use cache_kit::{
    CacheEntity, CacheExpander, CacheService, CacheStrategy, InMemoryRepository, SharedFeeder,
};
use serde::{Deserialize, Serialize};

const ENTITIES: u64 = 256;
const HITS: u64 = 50_000;

/// A name, and what makes so many hits.
type Case = (&'static str, fn(u64));

const CASES: [Case; 5] = [
    ("bare quick_cache by &str", bare),
    ("integer key, quick_cache", |hits| {
        products(Engine::QuickCache, hits);
    }),
    ("string key, quick_cache", |hits| {
        users(Engine::QuickCache, hits);
    }),
    ("integer key, moka", |hits| products(Engine::Moka, hits)),
    ("string key, moka", |hits| users(Engine::Moka, hits)),
];

#[derive(Clone, Serialize, Deserialize)]
struct User {
    id: String,
}

impl CacheEntity for User {
    type Key = String;

    fn cache_key(&self) -> String {
        self.id.clone()
    }

    fn cache_prefix() -> &'static str {
        "user"
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Product {
    id: u64,
}

impl CacheEntity for Product {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "product"
    }
}

/// The text of a uuid.
fn uuid(id: u64) -> String {
    format!("{id:08x}-7bd4-4c3a-9f21-{id:012x}")
}

fn bare(hits: u64) {
    let map = quick_cache::sync::Cache::<String, Arc<Product>>::new(100_000);
    let keys: Vec<_> = (0..ENTITIES).map(|id| format!("product:{id}")).collect();
    for (id, key) in keys.iter().enumerate() {
        map.insert(key.clone(), Arc::new(Product { id: id as u64 }));
    }
    for hit in 0..hits {
        let key = &keys[(hit % ENTITIES) as usize];
        black_box(map.get(key.as_str()));
    }
}

fn products(engine: Engine, hits: u64) {
    let service = filled(engine, (0..ENTITIES).map(|id| Product { id }));
    let rows = InMemoryRepository::<Product>::new();
    let mut feeder = SharedFeeder::<Product>::new(0);
    for hit in 0..hits {
        feeder.id = hit % ENTITIES;
        let outcome = now(service.execute(&mut feeder, &rows, CacheStrategy::Refresh));
        assert!(outcome.is_ok_and(|outcome| outcome.is_hit()));
        black_box(feeder.entity.take());
    }
}

fn users(engine: Engine, hits: u64) {
    let service = filled(engine, (0..ENTITIES).map(|id| User { id: uuid(id) }));
    let rows = InMemoryRepository::<User>::new();
    let feeder = |id| SharedFeeder::<User>::new(uuid(id));
    let mut feeders: Vec<_> = (0..ENTITIES).map(feeder).collect();
    for hit in 0..hits {
        let feeder = &mut feeders[(hit % ENTITIES) as usize];
        let outcome = now(service.execute(feeder, &rows, CacheStrategy::Refresh));
        assert!(outcome.is_ok_and(|outcome| outcome.is_hit()));
        black_box(feeder.entity.take());
    }
}

fn filled<T: CacheEntity>(
    engine: Engine,
    entities: impl Iterator<Item = T>,
) -> CacheService<InMemoryBackend> {
    let backend = InMemoryBackend::builder()
        .engine(engine)
        .default_ttl(Duration::from_secs(3_600))
        .build();
    let service = CacheService::from(CacheExpander::new(backend));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let mut rows = InMemoryRepository::new();
    for entity in entities {
        let mut feeder = SharedFeeder::<T>::new(entity.cache_key());
        rows.insert(entity.cache_key(), entity);
        let load = service.execute(&mut feeder, &rows, CacheStrategy::Refresh);
        runtime.block_on(load).unwrap();
    }
    service
}

/// Polls a hit, which is ready at once.
fn now<F: Future>(call: F) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(call).poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a hit does not wait"),
    }
}

/// The instructions that this program executes for so many hits of a case.
fn instructions(case: &str, hits: u64) -> u64 {
    let this = env::current_exe().unwrap();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .args(["--case", case, &hits.to_string()])
        .output()
        .unwrap_or_else(|error| panic!("valgrind (install the package `valgrind`): {error}"));
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report
        .lines()
        .find_map(|line| line.split_once("Collected : "))
        .and_then(|(_, number)| number.trim().parse().ok());
    collected.unwrap_or_else(|| panic!("valgrind said:\n{report}"))
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let [_, flag, name, hits] = &arguments[..]
        && flag == "--case"
    {
        let hits = hits.parse().unwrap();
        let case = CASES.iter().find(|(case, _)| case == name);
        let (_, run) = case.unwrap_or_else(|| panic!("no case {name:?}"));
        return run(hits);
    }
    println!("instructions of one hit, {ENTITIES} entities");
    for (case, _) in CASES {
        let (once, twice) = (instructions(case, HITS), instructions(case, 2 * HITS));
        println!("{case:<26} {:>5}", (twice - once) / HITS);
    }
}
