//! What a hit costs through the public call, next to the bare map under it.
//!
//! `cargo bench -p cache-kit --bench hits`: both sides of every comparison run in one process, so
//! that the ratio means something on a shared machine.

#![allow(
    clippy::panic,
    missing_docs,
    reason = "a benchmark that cannot run says why"
)]

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cache_kit::backend::{Engine, InMemoryBackend};
use cache_kit::{
    CacheEntity, CacheExpander, CacheService, CacheStrategy, InMemoryRepository, SharedFeeder,
};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};

const ENTITIES: u64 = 10_000;

#[derive(Clone, Serialize, Deserialize)]
struct User {
    id: String,
    name: String,
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
    name: String,
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

fn user(id: u64) -> User {
    User {
        id: format!("user_{id:05}"),
        name: format!("name {id}"),
    }
}

fn product(id: u64) -> Product {
    Product {
        id,
        name: format!("name {id}"),
    }
}

/// Visits the ids in an order that no cache line likes.
fn scattered() -> impl FnMut() -> u64 {
    let mut at = 0_u64;
    move || {
        at = at.wrapping_add(7_919) % ENTITIES;
        at
    }
}

/// Polls a hit, which is ready at once; the scheduling of a runtime is not what is measured.
fn now<F: Future>(call: F) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(call).poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a hit does not wait"),
    }
}

/// A service that holds `ENTITIES` entities of one type.
fn filled<T: CacheEntity>(
    engine: Engine,
    entity: impl Fn(u64) -> T,
) -> CacheService<InMemoryBackend> {
    let backend = InMemoryBackend::builder()
        .engine(engine)
        .default_ttl(Duration::from_secs(3_600))
        .build();
    let service = CacheService::from(CacheExpander::new(backend));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap_or_else(|error| panic!("no runtime: {error}"));
    runtime.block_on(async {
        let mut repository = InMemoryRepository::new();
        for id in 0..ENTITIES {
            let key = entity(id).cache_key();
            repository.insert(key.clone(), entity(id));
            let mut feeder = SharedFeeder::<T>::new(key);
            let stored = service
                .execute(&mut feeder, &repository, CacheStrategy::Refresh)
                .await;
            assert!(stored.is_ok() && feeder.entity.is_some());
        }
    });
    service
}

fn hits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hit");

    let bare = quick_cache::sync::Cache::<String, Arc<User>>::new(100_000);
    for id in 0..ENTITIES {
        bare.insert(format!("user:{}", user(id).id), Arc::new(user(id)));
    }
    let keys: Vec<String> = (0..ENTITIES)
        .map(|id| format!("user:{}", user(id).id))
        .collect();
    group.bench_function("bare quick_cache by &str", |bencher| {
        let mut next = scattered();
        bencher.iter(|| black_box(bare.get(keys[next() as usize].as_str())));
    });

    let bare = moka::sync::Cache::<String, Arc<User>>::new(100_000);
    for id in 0..ENTITIES {
        bare.insert(format!("user:{}", user(id).id), Arc::new(user(id)));
    }
    group.bench_function("bare moka by &str", |bencher| {
        let mut next = scattered();
        bencher.iter(|| black_box(bare.get(keys[next() as usize].as_str())));
    });

    for engine in [Engine::QuickCache, Engine::Moka] {
        let service = filled(engine, user);
        let users = InMemoryRepository::<User>::new();
        group.bench_function(
            BenchmarkId::new("execute, string key", format!("{engine:?}")),
            |bencher| {
                let mut next = scattered();
                let mut feeders: Vec<_> = (0..ENTITIES)
                    .map(|id| SharedFeeder::<User>::new(user(id).id))
                    .collect();
                bencher.iter(|| {
                    let feeder = &mut feeders[next() as usize];
                    let call = service.execute(feeder, &users, CacheStrategy::Refresh);
                    assert!(now(call).is_ok());
                    black_box(feeder.entity.take())
                });
            },
        );

        let service = filled(engine, product);
        let products = InMemoryRepository::<Product>::new();
        group.bench_function(
            BenchmarkId::new("execute, integer key", format!("{engine:?}")),
            |bencher| {
                let mut next = scattered();
                let mut feeder = SharedFeeder::<Product>::new(0);
                bencher.iter(|| {
                    feeder.id = next();
                    let call = service.execute(&mut feeder, &products, CacheStrategy::Refresh);
                    assert!(now(call).is_ok());
                    black_box(feeder.entity.take())
                });
            },
        );
    }
    group.finish();
}

criterion_group!(benches, hits);
criterion_main!(benches);
