//! Random schedules against an oracle.
//!
//! A schedule polls some calls in random order, drops some of them, lets loads end in random order,
//! and changes rows in between. The oracle knows, for every row, the version that the last
//! acknowledged invalidation made mandatory: a read that begins after it must return that version
//! or a newer one, and in the end the cache must not hold an older one. Calls are for one key or
//! for a batch of them.

use std::task::Poll;
use std::time::Duration;

use cache_kit::backend::{Encoded, Engine, InMemoryBackend, Invalidated};
use cache_kit::testing::{Fault, FaultyBackend};
use cache_kit::{CacheExpander, CacheService, CacheStrategy, Outcome, Result, SharedFeeder};
use cache_kit_tests::schedules::{count, one_in, play, play_owned};
use cache_kit_tests::{Gated, Row, Step};
use fastrand::Rng;

use super::byte_store::MapStore;
use super::counted::Counted;

const KEYS: [&str; 3] = ["a", "b", "c"];

type Service = CacheService<FaultyBackend<Counted<InMemoryBackend>>>;

struct Call<'a> {
    /// The keys that are asked for; a batch may ask twice for one.
    keys: Vec<usize>,
    /// `None` only invalidates: its keys, or all that there are.
    strategy: Option<CacheStrategy>,
    /// The mandatory versions when the call began, for every key.
    floors: Versions,
    /// The versions of the rows when the call began, which an invalidation makes mandatory.
    rows: Versions,
    /// The answer for each of the keys; an error promises nothing.
    step: Step<'a, Result<Vec<Option<u64>>>>,
}

type Versions = [u64; KEYS.len()];

struct World {
    services: [Service; 2],
    database: Gated,
    rows: Versions,
    floors: Versions,
    /// Whether the store fails at times.
    faults: bool,
}

impl World {
    /// With `slow`, there are yields between a command, its effect and its answer.
    fn new(engine: Engine, shared: bool, faults: bool, slow: bool) -> Self {
        let inner = InMemoryBackend::builder().engine(engine).build();
        let backend = FaultyBackend::new(if slow {
            Counted::slow(inner)
        } else {
            Counted::new(inner)
        });
        let one = CacheService::new(backend.clone());
        let two = if shared {
            one.clone()
        } else {
            CacheService::new(backend)
        };
        let database = Gated::closed();
        for key in KEYS {
            database.set(key, 0);
        }
        Self {
            services: [one, two],
            database,
            rows: Versions::default(),
            floors: Versions::default(),
            faults,
        }
    }

    fn begin(&self, rng: &mut Rng) -> Call<'static> {
        let alone = rng.bool();
        let count = if alone { 1 } else { rng.usize(1..=4) };
        let mut keys: Vec<usize> = (0..count).map(|_| rng.usize(..KEYS.len())).collect();
        let ids: Vec<String> = keys.iter().map(|key| KEYS[*key].to_owned()).collect();
        let clears = rng.u8(..12) == 0;
        if clears {
            keys = (0..KEYS.len()).collect();
        }
        let strategy = match rng.u8(..12) {
            0..=5 => Some(CacheStrategy::Refresh),
            6..=7 => Some(CacheStrategy::Invalidate),
            8 => Some(CacheStrategy::Bypass),
            9 => Some(CacheStrategy::Fresh),
            _ => None,
        };
        let strategy = strategy.filter(|_| !clears);
        let service = self.services[rng.usize(..2)].clone();
        let database = self.database.clone();
        Call {
            keys,
            strategy,
            floors: self.floors,
            rows: self.rows,
            step: Step::new(async move {
                if clears {
                    let cleared = service.clear::<Row>().await?;
                    assert_eq!(cleared.invalidated, Invalidated::Done);
                    return Ok(vec![None; KEYS.len()]);
                }
                let Some(strategy) = strategy else {
                    let done = match &ids[..] {
                        [id] if alone => service.invalidate::<Row>(id).await?,
                        ids => service.invalidate_many::<Row>(ids).await?,
                    };
                    assert_eq!(done, Invalidated::Done);
                    return Ok(vec![None; ids.len()]);
                };
                let mut feeders: Vec<_> = ids.into_iter().map(SharedFeeder::<Row>::new).collect();
                let outcomes: Vec<Outcome> = match &mut feeders[..] {
                    [feeder] if alone => vec![service.execute(feeder, &database, strategy).await?],
                    feeders => service.execute_many(feeders, &database, strategy).await?,
                };
                let pending = |outcome: &Outcome| outcome.degraded().invalidation_pending;
                assert!(!outcomes.iter().any(pending));
                let version = |feeder: SharedFeeder<Row>| {
                    let row = feeder.entity?;
                    assert_eq!(row.id, feeder.id, "a mix-up");
                    Some(row.version)
                };
                Ok(feeders.into_iter().map(version).collect())
            }),
        }
    }

    /// Checks an answer against the oracle.
    fn judge(&mut self, call: &Call<'_>, answer: Result<Vec<Option<u64>>>) {
        let answers = match answer {
            Ok(answers) => answers,
            Err(_) if self.faults => return,
            Err(error) => panic!("{error}"),
        };
        for (key, seen) in call.keys.iter().zip(answers) {
            if let Some(seen) = seen {
                assert!(
                    seen >= call.floors[*key],
                    "{:?} of {} gave version {seen}, older than the {} that was invalidated before it began",
                    call.strategy,
                    KEYS[*key],
                    call.floors[*key],
                );
            } else {
                assert!(matches!(call.strategy, None | Some(CacheStrategy::Fresh)));
            }
            if matches!(call.strategy, None | Some(CacheStrategy::Invalidate)) {
                self.floors[*key] = self.floors[*key].max(call.rows[*key]);
            }
        }
    }
}

fn schedule(seed: u64, engine: Engine, shared: bool, faults: bool) -> usize {
    let rng = &mut Rng::with_seed(seed);
    let mut world = World::new(engine, shared, faults, rng.bool());
    let mut calls: Vec<Call<'_>> = Vec::new();
    let mut judged = 0;
    for _ in 0..rng.usize(20..80) {
        match rng.u8(..12) {
            0..=2 if calls.len() < 8 => calls.push(world.begin(rng)),
            3 => {
                let key = rng.usize(..KEYS.len());
                world.rows[key] += 1;
                world.database.set(KEYS[key], world.rows[key]);
            }
            4..=5 => world.database.let_through(1),
            6 if !calls.is_empty() && rng.bool() => {
                let dropped = rng.usize(..calls.len());
                calls.swap_remove(dropped).step.cancel();
            }
            7 if faults => {
                let backend = world.services[0].backend();
                match rng.u8(..5) {
                    0 => backend.fail(Fault::Down),
                    1 => backend.fail(Fault::Reads),
                    2 => backend.fail(Fault::Stores),
                    _ => backend.recover(),
                }
            }
            _ if !calls.is_empty() => {
                let polled = rng.usize(..calls.len());
                if let Poll::Ready(answer) = calls[polled].step.poll() {
                    let call = calls.swap_remove(polled);
                    world.judge(&call, answer);
                    judged += 1;
                }
            }
            _ => {}
        }
    }

    // Everything ends: no call hangs, no flight is left, and the cache holds nothing forbidden.
    world.services[0].backend().recover();
    world.database.let_through(1_000);
    for _ in 0..200 {
        calls.retain_mut(|call| match call.step.poll() {
            Poll::Ready(answer) => {
                world.judge(call, answer);
                judged += 1;
                false
            }
            Poll::Pending => true,
        });
    }
    assert!(calls.is_empty(), "{} calls hang", calls.len());
    for service in &world.services {
        assert_eq!(service.expander().loads_in_flight(), 0);
    }
    for (key, floor) in KEYS.into_iter().zip(world.floors) {
        let mut feeder = SharedFeeder::<Row>::new(key.to_owned());
        let call = world.services[0].execute(&mut feeder, &world.database, CacheStrategy::Fresh);
        let mut call = Step::new(call);
        assert!((0..10).any(|_| call.poll().is_ready()));
        drop(call);
        let left = feeder.entity.map_or(floor, |row| row.version);
        assert!(
            left >= floor,
            "the cache was left with version {left} of {key}, {floor} was due"
        );
    }
    judged
}

fn schedules(count: u64, engine: Engine, shared: bool, faults: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let mut judged = 0;
    for seed in 0..count {
        let done = std::panic::catch_unwind(|| schedule(seed, engine, shared, faults));
        match done {
            Ok(answers) => judged += answers,
            Err(panic) => {
                eprintln!("seed {seed}, {engine:?}, shared {shared}, faults {faults}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(
        judged as u64 > count,
        "the schedules did too little: {judged} answers"
    );
}

#[test]
fn schedules_on_one_service() {
    schedules(count(), Engine::QuickCache, true, false);
}

#[test]
fn schedules_on_two_services_that_share_a_store() {
    schedules(count(), Engine::QuickCache, false, false);
}

#[test]
fn schedules_with_a_failing_store() {
    schedules(count(), Engine::QuickCache, true, true);
}

#[test]
fn schedules_with_moka() {
    schedules(one_in(5), Engine::Moka, true, false);
    schedules(one_in(5), Engine::Moka, false, true);
}

/// Time runs only when all calls wait, so a wait that only a deadline ends is an error.
#[tokio::test(start_paused = true)]
async fn schedules_of_two_processes() {
    const AT_ONCE: u64 = 100;
    for begin in (0..count()).step_by(AT_ONCE as usize) {
        let store = MapStore::default();
        let process = || {
            let expander = CacheExpander::new(Encoded::over(store.clone()));
            CacheService::from(expander.with_lease_wait(Duration::from_secs(60)))
        };
        let end = count().min(begin + AT_ONCE);
        play([process(), process()], begin..end).await;
    }
}

#[tokio::test]
async fn schedules_of_owned_repositories_in_memory() {
    for (engine, count) in [(Engine::QuickCache, count()), (Engine::Moka, one_in(5))] {
        let store = InMemoryBackend::builder().engine(engine).build();
        play_owned([store.clone(), store], 0..count).await;
    }
}

#[tokio::test]
async fn schedules_of_owned_repositories_in_two_processes() {
    let store = MapStore::default();
    let process = || Encoded::over(store.clone());
    play_owned([process(), process()], 0..count()).await;
}
