//! The cost of a hit through the public call, compared with the bare map under it.
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

/// The ids in a cache-unfriendly order. The next one depends on the last answer, as on a thread
/// that serves one request after the other. Otherwise the processor overlaps the look-ups of a bare
/// map, and the comparison would measure instruction windows.
struct Visits {
    at: u64,
}

impl Visits {
    fn next(&self) -> usize {
        self.at as usize
    }

    fn answered<T>(&mut self, entity: Option<Arc<T>>, id_of: impl Fn(&T) -> u64) {
        let seen = black_box(entity.map_or(0, |entity| id_of(&entity)));
        // An id never reaches this bit, but the processor cannot know that.
        self.at = (self.at + 7_919 + (seen & (1 << 40))) % ENTITIES;
    }
}

fn length(user: &User) -> u64 {
    user.id.len() as u64
}

/// Polls a hit, which is ready at once, so that the scheduling of a runtime is not measured.
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
        let mut visits = Visits { at: 0 };
        bencher.iter(|| {
            let found = bare.get(keys[visits.next()].as_str());
            visits.answered(found, length);
        });
    });

    let bare = moka::sync::Cache::<String, Arc<User>>::new(100_000);
    for id in 0..ENTITIES {
        bare.insert(format!("user:{}", user(id).id), Arc::new(user(id)));
    }
    group.bench_function("bare moka by &str", |bencher| {
        let mut visits = Visits { at: 0 };
        bencher.iter(|| {
            let found = bare.get(keys[visits.next()].as_str());
            visits.answered(found, length);
        });
    });

    for engine in [Engine::QuickCache, Engine::Moka] {
        let service = filled(engine, user);
        let users = InMemoryRepository::<User>::new();
        let mut feeders: Vec<_> = (0..ENTITIES)
            .map(|id| SharedFeeder::<User>::new(user(id).id))
            .collect();
        let name = BenchmarkId::new("execute, string key", format!("{engine:?}"));
        group.bench_function(name, |bencher| {
            let mut visits = Visits { at: 0 };
            bencher.iter(|| {
                let feeder = &mut feeders[visits.next()];
                assert!(now(service.execute(feeder, &users, CacheStrategy::Refresh)).is_ok());
                visits.answered(feeder.entity.take(), length);
            });
        });

        let service = filled(engine, product);
        let products = InMemoryRepository::<Product>::new();
        let mut feeder = SharedFeeder::<Product>::new(0);
        let name = BenchmarkId::new("execute, integer key", format!("{engine:?}"));
        group.bench_function(name, |bencher| {
            let mut visits = Visits { at: 0 };
            bencher.iter(|| {
                feeder.id = visits.next() as u64;
                let call = service.execute(&mut feeder, &products, CacheStrategy::Refresh);
                assert!(now(call).is_ok());
                visits.answered(feeder.entity.take(), |product| product.id);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, hits);
criterion_main!(benches);
