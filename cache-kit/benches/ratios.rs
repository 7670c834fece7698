//! The hit ratios of each engine, compared with the bare maps, on loads of different kinds.
//!
//! `cargo bench -p cache-kit --bench ratios`. Every engine is used through the public call, in one
//! thread. All random numbers have a fixed seed, except in moka, which seeds its own hasher.

#![allow(
    clippy::panic,
    missing_docs,
    reason = "a benchmark that cannot run says why"
)]

use cache_kit::backend::{Engine, InMemoryBackend};
use cache_kit::{CacheEntity, CacheService, CacheStrategy, DataRepository, Result, SharedFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Block {
    id: u64,
}

impl CacheEntity for Block {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "block"
    }
}

/// Has every block.
struct Disk;

impl DataRepository<Block> for Disk {
    async fn fetch_by_id(&self, id: &u64) -> Result<Option<Block>> {
        Ok(Some(Block { id: *id }))
    }
}

struct Load {
    name: &'static str,
    capacity: u64,
    requests: Vec<u64>,
}

/// Ranks from 0, with a probability that falls as a power of the rank.
struct Zipf {
    cumulated: Vec<f64>,
}

impl Zipf {
    fn new(ranks: u32, exponent: f64) -> Self {
        let mut sum = 0.0;
        let mut cumulated: Vec<f64> = (1..=ranks)
            .map(|rank| {
                sum += f64::from(rank).powf(-exponent);
                sum
            })
            .collect();
        cumulated.iter_mut().for_each(|part| *part /= sum);
        Self { cumulated }
    }

    fn draw(&self, random: &mut fastrand::Rng) -> u64 {
        let at = random.f64();
        self.cumulated.partition_point(|part| *part < at) as u64
    }
}

fn skewed(name: &'static str, exponent: f64, capacity: u64) -> Load {
    let zipf = Zipf::new(100_000, exponent);
    let mut random = fastrand::Rng::with_seed(1);
    Load {
        name,
        capacity,
        requests: (0..500_000).map(|_| zipf.draw(&mut random)).collect(),
    }
}

/// Skewed reads, broken by scans of `length` keys: the same ones every time, or new ones.
fn scanning(name: &'static str, reads: u32, length: u64, new: bool) -> Load {
    let zipf = Zipf::new(100_000, 0.9);
    let mut random = fastrand::Rng::with_seed(2);
    let mut requests = Vec::new();
    for round in 0..8 {
        requests.extend((0..reads).map(|_| zipf.draw(&mut random)));
        let first = 1_000_000 + if new { round * length } else { 0 };
        requests.extend(first..first + length);
    }
    Load {
        name,
        capacity: 10_000,
        requests,
    }
}

fn looping(name: &'static str, length: u64) -> Load {
    Load {
        name,
        capacity: 10_000,
        requests: (0..400_000).map(|at| at % length).collect(),
    }
}

/// Files of different lengths, each read from end to end; some far more often than others.
fn blocks() -> Load {
    let zipf = Zipf::new(2_000, 0.8);
    let mut random = fastrand::Rng::with_seed(4);
    let mut files = Vec::new();
    let mut end = 0;
    for _ in 0..2_000 {
        let length = 1 + (random.f64().powi(3) * 400.0) as u64;
        files.push(end..end + length);
        end += length;
    }
    let mut requests = Vec::new();
    while requests.len() < 500_000 {
        let file = zipf.draw(&mut random) as usize;
        requests.extend(files[file.min(1_999)].clone());
    }
    Load {
        name: "files, 10 %",
        capacity: end / 10,
        requests,
    }
}

/// Popularity drifts.
fn drifting() -> Load {
    let zipf = Zipf::new(20_000, 0.9);
    let mut random = fastrand::Rng::with_seed(5);
    Load {
        name: "drifting, 10 %",
        capacity: 2_000,
        requests: (0..500_000)
            .map(|at| zipf.draw(&mut random) + at / 50)
            .collect(),
    }
}

fn loads() -> Vec<Load> {
    vec![
        skewed("zipf 0.7, 10 %", 0.7, 10_000),
        skewed("zipf 0.9, 10 %", 0.9, 10_000),
        skewed("zipf 0.9, 1 %", 0.9, 1_000),
        skewed("zipf 1.1, 1 %", 1.1, 1_000),
        scanning("scan of new keys", 30_000, 20_000, true),
        scanning("scan of 20,000", 100_000, 20_000, false),
        scanning("scan of 100,000", 50_000, 100_000, false),
        looping("loop of 1.5 caches", 15_000),
        looping("loop of 2 caches", 20_000),
        looping("loop of 5 caches", 50_000),
        blocks(),
        drifting(),
    ]
}

/// The part of the requests that `hit` answers.
fn ratio(load: &Load, mut hit: impl FnMut(u64) -> bool) -> f64 {
    let hits = load.requests.iter().filter(|id| hit(**id)).count();
    hits as f64 / load.requests.len() as f64
}

fn bare_moka(load: &Load) -> f64 {
    let map = moka::sync::Cache::new(load.capacity);
    ratio(load, |id| {
        let hit = map.get(&id).is_some();
        if !hit {
            map.insert(id, id);
        }
        hit
    })
}

fn bare_quick_cache(load: &Load) -> f64 {
    let map = quick_cache::sync::Cache::new(load.capacity as usize);
    ratio(load, |id| {
        let hit = map.get(&id).is_some();
        if !hit {
            map.insert(id, id);
        }
        hit
    })
}

async fn through_the_service(load: &Load, engine: Engine) -> f64 {
    let backend = InMemoryBackend::builder()
        .engine(engine)
        .max_entries(load.capacity)
        .build();
    let service = CacheService::new(backend);
    let mut hits = 0;
    for id in &load.requests {
        let mut feeder = SharedFeeder::<Block>::new(*id);
        match service
            .execute(&mut feeder, &Disk, CacheStrategy::Refresh)
            .await
        {
            Ok(outcome) => hits += u32::from(outcome.is_hit()),
            Err(error) => panic!("{error}"),
        }
    }
    f64::from(hits) / load.requests.len() as f64
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!(
        "{:<20} {:>10} {:>12}   {:>18}   {:>18}",
        "load", "bare moka", "bare quick_c.", "Moka (to bare)", "QuickCache (to moka)"
    );
    for load in loads() {
        let (moka, quick_cache) = (bare_moka(&load), bare_quick_cache(&load));
        let ours = through_the_service(&load, Engine::Moka).await;
        let other = through_the_service(&load, Engine::QuickCache).await;
        println!(
            "{:<20} {moka:>10.3} {quick_cache:>12.3}   {ours:>10.3} ({:>5.2})   {other:>10.3} ({:>5.2})",
            load.name,
            ours / moka,
            other / moka,
        );
    }
}
