//! The cost of a hit in memory through the public call, as a multiple of a look-up in the bare map
//! under it, by a `&str` that was built before.
//!
//! `cargo bench -p cache-kit --bench hits --features moka`; with `-- WORD`, only the rows with that word
//! in their names. Both sides of every comparison take turns
//! in one process, so that the ratios mean something on a shared machine; each is the median of all
//! rounds. In the column `overlapping` the ids come in a fixed random order, and the processor begins a
//! look-up while the last one is under way. In `dependent`, the next id depends on the last answer.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot run says why"
)]

use std::fmt;
use std::hint::black_box;
use std::mem::needs_drop;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use cache_kit::backend::{Engine, InMemoryBackend};
use cache_kit::entity::EntityKey;
use cache_kit::{
    CacheEntity, CacheExpander, CacheService, CacheStrategy, InMemoryRepository, SharedFeeder,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const ROUNDS: usize = 41;
const LOOK_UPS: usize = 60_000;
const CAPACITY: usize = 100_000;

/// A small entity.
#[derive(Clone, Serialize, Deserialize)]
struct Item<K> {
    id: K,
    number: u64,
    name: String,
}

impl<K: Key> CacheEntity for Item<K> {
    type Key = K;

    fn cache_key(&self) -> K {
        self.id.clone()
    }

    fn cache_prefix() -> &'static str {
        "item"
    }
}

trait Key: EntityKey + Serialize + DeserializeOwned {
    fn of(number: u64) -> Self;
}

impl Key for u64 {
    fn of(number: u64) -> Self {
        number
    }
}

/// The text of a uuid.
impl Key for String {
    fn of(number: u64) -> Self {
        Uuid::of(number).to_string()
    }
}

/// A key of the user's own over an integer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Id(u64);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Key for Id {
    fn of(number: u64) -> Self {
        Self(number)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Uuid([u8; 16]);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |from: usize, to: usize| {
            let bytes = self.0[from..to].iter();
            bytes.fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let (a, b, c, d, e) = (
            part(0, 4),
            part(4, 6),
            part(6, 8),
            part(8, 10),
            part(10, 16),
        );
        write!(f, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
    }
}

impl Key for Uuid {
    fn of(number: u64) -> Self {
        let mixed = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        Self(mixed.to_be_bytes())
    }
}

fn item<K: Key>(number: u64) -> Item<K> {
    Item {
        id: K::of(number),
        number,
        name: format!("name {number}"),
    }
}

/// The texts of all keys.
fn texts<K: Key>(entities: u64) -> Vec<String> {
    (0..entities)
        .map(|id| format!("item:{}", K::of(id)))
        .collect()
}

type Quick<K> = quick_cache::sync::Cache<String, Arc<Item<K>>>;

fn quick<K: Key>(entities: u64) -> Quick<K> {
    let map = Quick::new(CAPACITY);
    for (text, id) in texts::<K>(entities).into_iter().zip(0..) {
        map.insert(text, Arc::new(item(id)));
    }
    map
}

/// A service that holds so many entities.
fn service<K: Key>(engine: Engine, entities: u64) -> CacheService<InMemoryBackend> {
    let backend = InMemoryBackend::builder()
        .engine(engine)
        .max_entries(CAPACITY as u64)
        .default_ttl(Duration::from_secs(3_600))
        .build();
    let service = CacheService::from(CacheExpander::new(backend));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(async {
        let rows = InMemoryRepository::new();
        for id in 0..entities {
            rows.insert(K::of(id), item::<K>(id));
            let mut feeder = SharedFeeder::<Item<K>>::new(K::of(id));
            let load = service.execute(&mut feeder, &rows, CacheStrategy::Refresh);
            load.await.unwrap();
        }
    });
    service
}

/// A look-up of a number by the public call. A key that is cheap to make is made for the call, as in a
/// service; others are there before, as the texts of the bare side are.
fn calls<K: Key>(
    service: &CacheService<InMemoryBackend>,
    entities: u64,
) -> impl FnMut(u64) -> u64 + use<K> {
    let service = service.clone();
    let rows = InMemoryRepository::<Item<K>>::new();
    let lasting = if needs_drop::<K>() { entities } else { 1 };
    let feeder = |id| SharedFeeder::<Item<K>>::new(K::of(id));
    let mut feeders: Vec<_> = (0..lasting).map(feeder).collect();
    move |id| {
        let feeder = match feeders.get_mut(id as usize) {
            Some(feeder) if needs_drop::<K>() => feeder,
            _ => {
                feeders[0].id = K::of(id);
                &mut feeders[0]
            }
        };
        let outcome = now(service.execute(feeder, &rows, CacheStrategy::Refresh));
        assert!(outcome.is_ok());
        feeder.entity.take().map_or(0, |item| item.number)
    }
}

/// Polls a hit, which is ready at once, so that the scheduling of a runtime is not measured.
fn now<F: Future>(call: F) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(call).poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a hit does not wait"),
    }
}

/// Nanoseconds for a look-up of ids in a random order.
fn overlapping(ids: &[u64], mut look_up: impl FnMut(u64) -> u64) -> f64 {
    let begun = Instant::now();
    for id in ids {
        black_box(look_up(*id));
    }
    begun.elapsed().as_nanos() as f64 / ids.len() as f64
}

/// Nanoseconds for a look-up whose id depends on the answer to the last one.
fn dependent(entities: u64, mut look_up: impl FnMut(u64) -> u64) -> f64 {
    let begun = Instant::now();
    let mut id = 0;
    for _ in 0..LOOK_UPS {
        // A number never reaches this bit, but the processor cannot know that.
        let seen = black_box(look_up(id)) & (1 << 40);
        id = (id + 7_919 + seen) % entities;
    }
    begun.elapsed().as_nanos() as f64 / LOOK_UPS as f64
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Compares both sides in turns, and prints the ratios beside the line that they must hold.
fn compare(
    name: &str,
    entities: u64,
    line: f64,
    mut bare: impl FnMut(u64) -> u64,
    mut ours: impl FnMut(u64) -> u64,
) {
    let mut random = fastrand::Rng::with_seed(entities);
    let ids: Vec<_> = (0..LOOK_UPS).map(|_| random.u64(0..entities)).collect();
    let (mut times, mut ratios) = ([vec![], vec![]], [vec![], vec![]]);
    for _ in 0..ROUNDS {
        let (bare, ours) = (overlapping(&ids, &mut bare), overlapping(&ids, &mut ours));
        times[0].push(ours);
        ratios[0].push(ours / bare);
    }
    for _ in 0..ROUNDS {
        let (bare, ours) = (
            dependent(entities, &mut bare),
            dependent(entities, &mut ours),
        );
        times[1].push(ours);
        ratios[1].push(ours / bare);
    }
    let [overlapping, dependent] = ratios.map(median);
    let [nanos, _] = times.map(median);
    let held = if overlapping <= line {
        "held"
    } else {
        "NOT HELD"
    };
    println!("{name:<34} {nanos:>6.0} {overlapping:>12.2} {dependent:>10.2}   ≤ {line:<4} {held}");
}

fn on_quick_cache<K: Key>(name: &str, entities: u64, line: f64) {
    let map = quick::<K>(entities);
    let bare = |text: &str| map.get(text);
    beside::<K>(name, Engine::QuickCache, entities, line, bare);
}

fn on_moka<K: Key>(name: &str, entities: u64, line: f64) {
    let map = moka::sync::Cache::<String, Arc<Item<K>>>::new(CAPACITY as u64);
    for (text, id) in texts::<K>(entities).into_iter().zip(0..) {
        map.insert(text, Arc::new(item(id)));
    }
    let bare = |text: &str| map.get(text);
    beside::<K>(name, Engine::Moka, entities, line, bare);
}

/// Compares a service with the bare map under it.
fn beside<K: Key>(
    name: &str,
    engine: Engine,
    entities: u64,
    line: f64,
    bare: impl Fn(&str) -> Option<Arc<Item<K>>>,
) {
    let texts = texts::<K>(entities);
    let service = service::<K>(engine, entities);
    compare(
        &format!("{name}, {entities} entities"),
        entities,
        line,
        |id| bare(&texts[id as usize]).map_or(0, |item| item.number),
        calls::<K>(&service, entities),
    );
}

/// `count` of the numbers below `n`; number k is as frequent as 1 / (k + 1)^0.99.
fn zipf(n: u64, count: usize, seed: u64) -> Vec<u64> {
    let mut sums = Vec::new();
    let mut sum = 0.0;
    for k in 1..=n {
        sum += (k as f64).powf(-0.99);
        sums.push(sum);
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let mut next = || sums.partition_point(|below| *below < random.f64() * sum) as u64;
    (0..count).map(|_| next().min(n - 1)).collect()
}

/// Millions of look-ups in a second of two threads together.
fn on_two_threads<L: FnMut(u64) -> u64 + Send>(ids: &[Vec<u64>], look_ups: [L; 2]) -> f64 {
    let begun = Instant::now();
    thread::scope(|scope| {
        for (ids, mut look_up) in ids.iter().zip(look_ups) {
            scope.spawn(move || {
                for id in ids {
                    black_box(look_up(*id));
                }
            });
        }
    });
    let look_ups: usize = ids.iter().map(Vec::len).sum();
    look_ups as f64 / begun.elapsed().as_secs_f64() / 1e6
}

fn two_threads() {
    const ENTITIES: u64 = 10_000;
    let ids = [1, 2].map(|seed| zipf(ENTITIES, 10 * LOOK_UPS, seed));
    let (map, texts) = (quick::<u64>(ENTITIES), texts::<u64>(ENTITIES));
    let service = service::<u64>(Engine::QuickCache, ENTITIES);
    let prebuilt = || {
        let (map, texts) = (&map, &texts);
        move |id: u64| {
            map.get(texts[id as usize].as_str())
                .map_or(0, |item| item.number)
        }
    };
    let building = || {
        let map = &map;
        move |id: u64| {
            map.get(format!("item:{id}").as_str())
                .map_or(0, |item| item.number)
        }
    };
    let (mut to_prebuilt, mut to_building) = (vec![], vec![]);
    let mut ours = [0, 1].map(|_| calls::<u64>(&service, ENTITIES));
    for _ in 0..ROUNDS {
        let bare = on_two_threads(&ids, [prebuilt(), prebuilt()]);
        let [first, second] = &mut ours;
        let execute = on_two_threads(&ids, [first, second]);
        let built = on_two_threads(&ids, [building(), building()]);
        to_prebuilt.push(execute / bare);
        to_building.push(execute / built);
    }
    let lines = [
        ("prebuilt", to_prebuilt, 0.65),
        ("building its key", to_building, 0.9),
    ];
    for (side, ratios, line) in lines {
        let ratio = median(ratios);
        let held = if ratio >= line { "held" } else { "NOT HELD" };
        println!("two threads, Zipf 0.99: throughput {ratio:.2} of bare, {side}   ≥ {line} {held}");
    }
}

/// A name, and what measures rows with it.
type Row = (&'static str, fn(&str));

fn main() {
    // Only the rows whose name contains the word that was given.
    let word = std::env::args()
        .nth(1)
        .filter(|word| !word.starts_with("--"));
    let wanted = |name: &str| {
        word.as_ref()
            .is_none_or(|word| name.contains(word.as_str()))
    };
    println!(
        "{:<34} {:>6} {:>12} {:>10}   line",
        "a hit", "ns", "overlapping", "dependent"
    );
    let rows: [Row; 7] = [
        ("u64", |name| {
            on_quick_cache::<u64>(name, 10_000, 1.5);
            on_quick_cache::<u64>(name, 256, 2.0);
        }),
        ("newtype over u64", |name| {
            on_quick_cache::<Id>(name, 10_000, 1.7);
            on_quick_cache::<Id>(name, 256, 2.4);
        }),
        ("String (uuid)", |name| {
            on_quick_cache::<String>(name, 10_000, 2.2);
            on_quick_cache::<String>(name, 256, 2.7);
        }),
        ("uuid", |name| {
            on_quick_cache::<Uuid>(name, 10_000, 2.2);
            on_quick_cache::<Uuid>(name, 256, 2.7);
        }),
        ("u64 on moka", |name| on_moka::<u64>(name, 10_000, 1.15)),
        ("String on moka", |name| {
            on_moka::<String>(name, 10_000, 1.15)
        }),
        ("two threads", |_| two_threads()),
    ];
    for (name, run) in rows {
        if wanted(name) {
            run(name);
        }
    }
}
