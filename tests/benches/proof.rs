//! The cost of the proof for a miss on Redis, and the cost of the type's shape for a look-up.
//!
//! `cargo bench -p cache-kit-tests --bench proof`: a service with the proof and one without take
//! turns on one server, and the medians are compared.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot run says why"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use cache_kit::backend::{RedisBackend, RedisConfig};
use cache_kit::{CacheEntity, CacheService, CacheStrategy, InMemoryRepository, SharedFeeder};
use cache_kit_tests::servers::RedisServer;
use serde::{Deserialize, Serialize};

const ROUNDS: usize = 41;
const ENTITIES: u64 = 300;

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    id: u64,
    name: String,
    lines: Vec<Line>,
    by: BTreeMap<String, u32>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Line {
    article: String,
    price: u64,
    tags: Vec<String>,
}

impl CacheEntity for Order {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "order"
    }
}

fn order(id: u64, lines: u64) -> Order {
    let line = |n: u64| Line {
        article: format!("article {n}"),
        price: n * 1_000,
        tags: vec!["tag".to_owned(), format!("tag {n}")],
    };
    Order {
        id,
        name: format!("name of order {id}"),
        lines: (0..lines).map(line).collect(),
        by: (0..lines).map(|n| (format!("key {n}"), 1)).collect(),
    }
}

async fn misses(service: &CacheService<RedisBackend>, orders: &InMemoryRepository<Order>) -> f64 {
    let begun = Instant::now();
    for id in 0..ENTITIES {
        let mut feeder = SharedFeeder::<Order>::new(id);
        let outcome = service
            .execute(&mut feeder, orders, CacheStrategy::Refresh)
            .await
            .unwrap();
        assert!(!outcome.is_hit());
        black_box(feeder.entity);
    }
    begun.elapsed().as_nanos() as f64 / ENTITIES as f64 / 1_000.0
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

#[tokio::main]
async fn main() {
    let server = RedisServer::start();
    let service = |proves| {
        let config = RedisConfig::from_url(&server.url()).unwrap();
        let config = config.set(|encoded| encoded.with_store_proof(proves));
        CacheService::new(RedisBackend::new(config).unwrap())
    };
    let [without, with] = [false, true].map(service);
    println!("a miss, one task, in µs, median of {ROUNDS} rounds of {ENTITIES}");
    for lines in [3, 60] {
        let bytes = postcard::to_stdvec(&order(1, lines)).unwrap();
        let mut orders = InMemoryRepository::new();
        for id in 0..ENTITIES {
            orders.insert(id, order(id, lines));
        }
        let (mut bare, mut proven, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            server.flush();
            bare.push(misses(&without, &orders).await);
            server.flush();
            proven.push(misses(&with, &orders).await);
            ratios.push(proven[proven.len() - 1] / bare[bare.len() - 1]);
        }
        // Without a server, the noise is smaller than the measured cost.
        let begun = Instant::now();
        for _ in 0..10_000 {
            black_box(postcard::from_bytes::<Order>(black_box(&bytes)).unwrap());
        }
        let decoding = begun.elapsed().as_nanos() as f64 / 10_000_000.0;
        println!(
            "{} bytes: without a proof {:.1}, with it {:.1}, ratio {:.3}; to decode takes {decoding:.2}",
            bytes.len(),
            median(bare),
            median(proven),
            median(ratios)
        );
    }
}
