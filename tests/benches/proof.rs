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
use cache_kit_tests::bench::compare;
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

/// An ordinary row of two kilobytes: most of it is one text.
#[derive(Clone, Serialize, Deserialize)]
struct Article {
    id: u64,
    title: String,
    body: String,
    author: Author,
    tags: Vec<String>,
    words: u32,
    published: Option<u64>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Author {
    name: String,
    email: String,
}

impl CacheEntity for Article {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "article"
    }
}

fn article(id: u64) -> Article {
    Article {
        id,
        title: format!("title of article {id}"),
        body: "word ".repeat(360),
        author: Author {
            name: "name of the author".to_owned(),
            email: "author@example.org".to_owned(),
        },
        tags: (0..8).map(|n| format!("tag {n}")).collect(),
        words: 360,
        published: Some(1_700_000_000),
    }
}

async fn misses<T: CacheEntity<Key = u64>>(
    service: &CacheService<RedisBackend>,
    rows: &InMemoryRepository<T>,
) -> f64 {
    let begun = Instant::now();
    for id in 0..ENTITIES {
        let mut feeder = SharedFeeder::<T>::new(id);
        let outcome = service
            .execute(&mut feeder, rows, CacheStrategy::Refresh)
            .await
            .unwrap();
        assert!(!outcome.is_hit());
        black_box(feeder.entity);
    }
    begun.elapsed().as_nanos() as f64 / ENTITIES as f64 / 1_000.0
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
    let services = [&without, &with];
    compare_services("an order of 3 lines", &server, services, |id| order(id, 3)).await;
    compare_services("an article", &server, services, article).await;
    compare_services("an order of 60 lines", &server, services, |id| {
        order(id, 60)
    })
    .await;
}

async fn compare_services<T: CacheEntity<Key = u64>>(
    name: &str,
    server: &RedisServer,
    [without, with]: [&CacheService<RedisBackend>; 2],
    row: impl Fn(u64) -> T,
) {
    let bytes = postcard::to_stdvec(&row(1)).unwrap();
    let rows = InMemoryRepository::new();
    for id in 0..ENTITIES {
        rows.insert(id, row(id));
    }
    let measured = async |service| {
        server.flush();
        misses(service, &rows).await
    };
    let medians = compare(
        ROUNDS,
        async || measured(without).await,
        async || measured(with).await,
    );
    let medians = medians.await;
    // Without a server, the noise is smaller than the measured cost.
    let begun = Instant::now();
    for _ in 0..10_000 {
        black_box(postcard::from_bytes::<T>(black_box(&bytes)).unwrap());
    }
    let decoding = begun.elapsed().as_nanos() as f64 / 10_000_000.0;
    println!(
        "{name}, {} bytes: without a proof {:.1}, with it {:.1}, ratio {:.3}; to decode takes \
         {decoding:.2}",
        bytes.len(),
        medians.bare,
        medians.ours,
        medians.ratio
    );
}
