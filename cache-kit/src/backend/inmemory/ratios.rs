//! Both engines hit as often as bare moka does. `cargo bench -p cache-kit --bench ratios` shows
//! more.

use serde::{Deserialize, Serialize};

use super::*;
use crate::feed::SharedFeeder;
use crate::repository::DataRepository;
use crate::service::CacheService;
use crate::strategy::CacheStrategy;

#[derive(Clone, Serialize, Deserialize)]
struct Block(u64);

impl CacheEntity for Block {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        self.0
    }

    fn cache_prefix() -> &'static str {
        "block"
    }
}

struct Disk;

impl DataRepository<Block> for Disk {
    async fn fetch_by_id(&self, id: &u64) -> Result<Option<Block>> {
        Ok(Some(Block(*id)))
    }
}

const CAPACITY: u64 = 500;

async fn ratio(engine: Engine, requests: &[u64]) -> f64 {
    let backend = InMemoryBackend::builder()
        .engine(engine)
        .max_entries(CAPACITY)
        .build();
    let service = CacheService::new(backend);
    let mut hits = 0;
    for id in requests {
        let mut feeder = SharedFeeder::<Block>::new(*id);
        let outcome = service.execute(&mut feeder, &Disk, CacheStrategy::Refresh);
        hits += u32::from(outcome.await.is_ok_and(|outcome| outcome.is_hit()));
    }
    f64::from(hits) / requests.len() as f64
}

fn bare(requests: &[u64]) -> f64 {
    let map = ::moka::sync::Cache::new(CAPACITY);
    let hit = |id: &&u64| {
        let hit = map.get(*id).is_some();
        if !hit {
            map.insert(**id, ());
        }
        hit
    };
    requests.iter().filter(hit).count() as f64 / requests.len() as f64
}

/// Ranks below `ranks`, each about as probable as its inverse.
fn skewed(random: &mut fastrand::Rng, ranks: u64) -> u64 {
    (ranks as f64).powf(random.f64()) as u64 - 1
}

async fn compare(name: &str, requests: &[u64], least: f64) {
    let bare = bare(requests);
    for engine in [Engine::QuickCache, Engine::Moka] {
        let ours = ratio(engine, requests).await;
        assert!(
            ours >= least * bare,
            "{name}, {engine:?}: {ours:.3}, and {bare:.3} of bare moka"
        );
    }
}

#[tokio::test]
async fn a_skewed_load_hits_as_often_as_in_bare_moka() {
    let mut random = fastrand::Rng::with_seed(1);
    let requests: Vec<_> = (0..60_000).map(|_| skewed(&mut random, 20_000)).collect();
    compare("skewed", &requests, 0.97).await;
}

#[tokio::test]
async fn scans_between_skewed_reads_cost_no_more_than_in_bare_moka() {
    let mut random = fastrand::Rng::with_seed(2);
    let mut requests = Vec::new();
    for round in 0..10 {
        requests.extend((0..4_000).map(|_| skewed(&mut random, 20_000)));
        requests.extend((0..2_000).map(|at| 1_000_000 + 2_000 * round + at));
    }
    compare("scans", &requests, 0.97).await;
}

/// Which part of a loop stays is chance, in moka, too; it varies by one twentieth.
#[tokio::test]
async fn a_loop_longer_than_the_cache_hits_about_as_often_as_in_bare_moka() {
    let requests: Vec<_> = (0..60_000).map(|at| at % 1_000).collect();
    compare("loop", &requests, 0.90).await;
}

/// Entries that are only read in batches stay when others pass through.
#[tokio::test]
async fn a_hit_in_a_batch_is_a_use() {
    for engine in [Engine::QuickCache, Engine::Moka] {
        let backend = InMemoryBackend::builder()
            .engine(engine)
            .max_entries(CAPACITY)
            .build();
        let service = CacheService::new(backend);
        let mut kept = 0;
        for round in 0..20 {
            let mut batch: Vec<_> = (0..100).map(SharedFeeder::<Block>::new).collect();
            let outcomes = service
                .execute_many(&mut batch, &Disk, CacheStrategy::Refresh)
                .await
                .unwrap();
            kept = outcomes.iter().filter(|outcome| outcome.is_hit()).count();
            for id in 0..1_000 {
                let mut feeder = SharedFeeder::<Block>::new(1_000 * (round + 1) + id);
                let passing = service.execute(&mut feeder, &Disk, CacheStrategy::Refresh);
                passing.await.unwrap();
            }
        }
        assert!(kept >= 95, "{engine:?}: {kept} of 100");
    }
}
