//! Random schedules of two processes that share a store, against an oracle.
//!
//! As `contract/oracle.rs` does for memory: a read that begins after an invalidation was
//! acknowledged must return the version that it made mandatory, or a newer one, and the cache must
//! not hold an older one in the end. Calls are for one key or for a batch; where the store can list its
//! keys, some calls drop all of them, those of the other schedules included. The timing of the
//! network depends on the machine, so a seed gives the same commands, but not the same order of
//! their answers.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "test support: what must not fail ends the test"
)]

use std::ops::Range;

use cache_kit::CacheStrategy::{self, Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::{CacheBackend, Invalidated};
use cache_kit::{CacheService, Error, SharedFeeder};
use fastrand::Rng;
use tokio::task::{JoinHandle, JoinSet};

use crate::{Gated, Row};

mod owned;

pub use owned::play_owned;

/// How many schedules a search runs unless `CACHE_KIT_SCHEDULES` says otherwise. Enough to notice
/// what is broken often; `scripts/test.sh` sets 10,000.
const FEW: u64 = 500;

/// How many schedules a search runs: the environment variable `CACHE_KIT_SCHEDULES`, or a few.
///
/// # Panics
///
/// When the variable is not a number above zero.
pub fn count() -> u64 {
    let Some(count) = std::env::var_os("CACHE_KIT_SCHEDULES") else {
        return FEW;
    };
    let number = count.to_str().and_then(|count| count.parse().ok());
    match number {
        Some(number) if number > 0 => number,
        _ => panic!("CACHE_KIT_SCHEDULES is {count:?}, and not a number above zero"),
    }
}

/// [`count`] for a search whose schedules take longer: one for every `n`, at least one.
pub fn one_in(n: u64) -> u64 {
    count().div_ceil(n)
}

const KEYS: usize = 2;

type Versions = [u64; KEYS];

struct Running {
    /// The keys that are asked for; a batch may ask twice for one.
    keys: Vec<usize>,
    /// The mandatory versions when the call began.
    floors: Versions,
    /// The versions of the rows then, which an invalidation makes mandatory.
    rows: Versions,
    invalidates: bool,
    task: JoinHandle<Vec<Option<u64>>>,
}

async fn clear<B: CacheBackend>(service: CacheService<B>) -> Vec<Option<u64>> {
    let cleared = service.clear::<Row>().await.unwrap();
    assert_eq!(cleared.invalidated, Invalidated::Done);
    vec![None; KEYS]
}

/// The strategy of a call; `None` only invalidates.
async fn perform<B: CacheBackend>(
    service: CacheService<B>,
    database: Gated,
    ids: Vec<String>,
    alone: bool,
    strategy: Option<CacheStrategy>,
) -> Vec<Option<u64>> {
    let Some(strategy) = strategy else {
        let done = match &ids[..] {
            [id] if alone => service.invalidate::<Row>(id).await.unwrap(),
            ids => service.invalidate_many::<Row>(ids).await.unwrap(),
        };
        assert_eq!(done, Invalidated::Done);
        return vec![None; ids.len()];
    };
    let mut feeders: Vec<_> = ids.into_iter().map(SharedFeeder::<Row>::new).collect();
    let outcomes = match &mut feeders[..] {
        [feeder] if alone => vec![service.execute(feeder, &database, strategy).await.unwrap()],
        feeders => service
            .execute_many(feeders, &database, strategy)
            .await
            .unwrap(),
    };
    for outcome in outcomes {
        assert!(!outcome.degraded().any(), "{outcome:?}");
    }
    let version = |feeder: SharedFeeder<Row>| feeder.entity.map(|row| row.version);
    feeders.into_iter().map(version).collect()
}

async fn schedule<B: CacheBackend>(
    seed: u64,
    services: [CacheService<B>; 2],
    clears: bool,
) -> usize {
    let rng = &mut Rng::with_seed(seed);
    let database = Gated::closed();
    let names: [String; KEYS] = std::array::from_fn(|key| format!("{seed}-{key}"));
    let (mut rows, mut floors, mut judged) = (Versions::default(), Versions::default(), 0);
    for name in &names {
        database.set(name, 0);
    }
    let mut running: Vec<Running> = Vec::new();
    for _ in 0..rng.usize(15..40) {
        match rng.u8(..10) {
            0 if clears && running.len() < 6 && rng.u8(..8) == 0 => running.push(Running {
                keys: (0..KEYS).collect(),
                floors,
                rows,
                invalidates: true,
                task: tokio::spawn(clear(services[rng.usize(..2)].clone())),
            }),
            0..=2 if running.len() < 6 => {
                let alone = rng.bool();
                let count = if alone { 1 } else { rng.usize(1..=3) };
                let keys: Vec<usize> = (0..count).map(|_| rng.usize(..KEYS)).collect();
                let strategy = *rng
                    .choice(&[
                        Some(Refresh),
                        Some(Refresh),
                        Some(Bypass),
                        Some(Fresh),
                        Some(Invalidate),
                        None,
                    ])
                    .unwrap();
                let call = perform(
                    services[rng.usize(..2)].clone(),
                    database.clone(),
                    keys.iter().map(|key| names[*key].clone()).collect(),
                    alone,
                    strategy,
                );
                running.push(Running {
                    keys,
                    floors,
                    rows,
                    invalidates: matches!(strategy, None | Some(Invalidate)),
                    task: tokio::spawn(call),
                });
            }
            3 => {
                let key = rng.usize(..KEYS);
                rows[key] += 1;
                database.set(&names[key], rows[key]);
            }
            4..=5 => database.let_through(1),
            6 if !running.is_empty() && rng.u8(..3) == 0 => {
                let dropped = running.swap_remove(rng.usize(..running.len()));
                dropped.task.abort();
            }
            _ => tokio::task::yield_now().await,
        }
        let mut at = 0;
        while at < running.len() {
            if running[at].task.is_finished() {
                judged += judge(running.swap_remove(at), &mut floors).await;
            } else {
                at += 1;
            }
        }
    }
    database.let_through(1_000);
    for last in running {
        judged += judge(last, &mut floors).await;
    }
    for service in services {
        for (name, floor) in names.iter().zip(floors) {
            let mut feeder = SharedFeeder::<Row>::new(name.clone());
            let left = service.execute(&mut feeder, &database, Fresh).await;
            left.unwrap();
            let left = feeder.entity.map(|row| row.version);
            assert!(
                left.is_none_or(|left| left >= floor),
                "{left:?} was left, {floor} was due"
            );
        }
    }
    judged
}

async fn judge(call: Running, floors: &mut Versions) -> usize {
    let answers = call.task.await.unwrap();
    for (key, seen) in call.keys.into_iter().zip(answers) {
        if let Some(seen) = seen {
            let floor = call.floors[key];
            assert!(seen >= floor, "{seen} is older than {floor}");
        }
        if call.invalidates {
            floors[key] = floors[key].max(call.rows[key]);
        }
    }
    1
}

/// Runs the schedules with these seeds over the two services.
///
/// # Panics
///
/// When a call got something too old, or when too little happened.
pub async fn play<B: CacheBackend>(services: [CacheService<B>; 2], seeds: Range<u64>) {
    let clears = services[0].clear::<Row>().await;
    let clears = match clears {
        Err(Error::ConfigError(_)) => false,
        cleared => cleared.unwrap().invalidated == Invalidated::Done,
    };
    side_by_side(seeds, |seed| schedule(seed, services.clone(), clears)).await;
    for service in services {
        assert_eq!(service.expander().loads_in_flight(), 0);
    }
}

/// Runs the schedule of each seed, some of them at a time, and checks that they did enough. Each returns
/// how many answers were judged.
async fn side_by_side<S>(seeds: Range<u64>, schedule: impl Fn(u64) -> S)
where
    S: Future<Output = usize> + Send + 'static,
{
    let schedules = seeds.end - seeds.start;
    let mut judged = 0;
    let mut under_way = JoinSet::new();
    for seed in seeds {
        if under_way.len() >= 32 {
            judged += under_way.join_next().await.unwrap().unwrap();
        }
        under_way.spawn(schedule(seed));
    }
    while let Some(done) = under_way.join_next().await {
        judged += done.unwrap();
    }
    assert!(
        judged as u64 > 2 * schedules,
        "the schedules did too little: {judged} answers"
    );
}
