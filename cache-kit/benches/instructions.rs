//! How many instructions a hit in memory executes, beside the bare map under it. Unlike a time, the
//! number is the same on a busy machine.
//!
//! `cargo bench -p cache-kit --bench instructions --features moka`: runs itself under valgrind, with many
//! hits and with twice as many, and prints the difference for one hit. Fails if a case executes more
//! than its line allows: 5 % more than when the line was drawn, as a multiple of the bare map, so that
//! another compiler moves both sides.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot run says why"
)]

use std::env;
use std::fmt;
use std::hint::black_box;
use std::pin::pin;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cache_kit::backend::{AnyBackend, CacheBackend, Engine, InMemoryBackend};
use cache_kit::entity::EntityKey;
use cache_kit::{
    CacheEntity, CacheExpander, CacheService, CacheStrategy, InMemoryRepository, SharedFeeder,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const ENTITIES: u64 = 256;
const HITS: u64 = 50_000;

/// A name, what makes so many hits, and how many times the instructions of the bare map it may execute.
type Case = (&'static str, fn(u64), f64);

const BARE: Case = ("bare quick_cache by &str", bare, 1.0);

const CASES: [Case; 11] = [
    (
        "integer key, quick_cache",
        |hits| items::<u64>(Engine::QuickCache, hits),
        2.68,
    ),
    (
        "newtype key, quick_cache",
        |hits| items::<Id>(Engine::QuickCache, hits),
        3.09,
    ),
    (
        "string key, quick_cache",
        |hits| items::<String>(Engine::QuickCache, hits),
        3.53,
    ),
    (
        "uuid key, quick_cache",
        |hits| items::<Uuid>(Engine::QuickCache, hits),
        3.30,
    ),
    (
        "integer key, moka",
        |hits| items::<u64>(Engine::Moka, hits),
        7.82,
    ),
    (
        "string key, moka",
        |hits| items::<String>(Engine::Moka, hits),
        8.49,
    ),
    (
        "integer key, AnyBackend",
        |hits| through_any::<u64>(Engine::QuickCache, hits),
        2.68,
    ),
    (
        "string key, AnyBackend",
        |hits| through_any::<String>(Engine::QuickCache, hits),
        3.52,
    ),
    (
        "integer key, AnyBackend, moka",
        |hits| through_any::<u64>(Engine::Moka, hits),
        7.81,
    ),
    ("integer key, get", owned::<u64>, 2.84),
    ("string key, get", owned::<String>, 3.61),
];

/// The entity with the key `K`. Each way to read has a type of its own: a function with two callers is
/// not inlined into either, and most programs have one way.
#[derive(Clone, Serialize, Deserialize)]
struct Item<K, const WAY: u8 = 0> {
    id: K,
}

impl<K: Key, const WAY: u8> CacheEntity for Item<K, WAY> {
    type Key = K;

    fn cache_key(&self) -> K {
        self.id.clone()
    }

    fn cache_prefix() -> &'static str {
        "product"
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
        let digits = format!("{:032x}", u128::from_be_bytes(self.0));
        let (a, b, c) = (&digits[..8], &digits[8..12], &digits[12..16]);
        write!(f, "{a}-{b}-{c}-{}-{}", &digits[16..20], &digits[20..])
    }
}

impl Key for Uuid {
    fn of(number: u64) -> Self {
        Self((u128::from(number) * 0x9e37_79b9_7f4a_7c15).to_be_bytes())
    }
}

fn bare(hits: u64) {
    let map = quick_cache::sync::Cache::<String, Arc<Item<u64>>>::new(100_000);
    let keys: Vec<_> = (0..ENTITIES).map(|id| format!("product:{id}")).collect();
    for (key, id) in keys.iter().zip(0..) {
        map.insert(key.clone(), Arc::new(Item { id }));
    }
    for hit in 0..hits {
        let key = &keys[(hit % ENTITIES) as usize];
        black_box(map.get(key.as_str()));
    }
}

fn items<K: Key>(engine: Engine, hits: u64) {
    hit::<Item<K>, _>(memory(engine), hits, |id| Item { id });
}

/// The same through the backend that is chosen at run time.
fn through_any<K: Key>(engine: Engine, hits: u64) {
    hit::<Item<K, 1>, _>(AnyBackend::from(memory(engine)), hits, |id| Item { id });
}

fn hit<T: CacheEntity<Key: Key>, B: CacheBackend>(backend: B, hits: u64, item: fn(T::Key) -> T) {
    let service = filled(backend, (0..ENTITIES).map(|id| item(Key::of(id))));
    let rows = InMemoryRepository::<T>::new();
    let feeder = |id| SharedFeeder::<T>::new(Key::of(id));
    let mut feeders: Vec<_> = (0..ENTITIES).map(feeder).collect();
    for hit in 0..hits {
        let feeder = &mut feeders[(hit % ENTITIES) as usize];
        let outcome = now(service.execute(feeder, &rows, CacheStrategy::Refresh));
        assert!(outcome.is_ok_and(|outcome| outcome.is_hit()));
        black_box(feeder.entity.take());
    }
}

/// The same through a [`CachedRepository`](cache_kit::CachedRepository).
fn owned<K: Key>(hits: u64) {
    let item = |id| Item::<K, 2> { id };
    let service = filled(
        memory(Engine::QuickCache),
        (0..ENTITIES).map(|id| item(Key::of(id))),
    );
    let rows = service.repository(InMemoryRepository::<Item<K, 2>>::new());
    let ids: Vec<K> = (0..ENTITIES).map(Key::of).collect();
    for hit in 0..hits {
        let read = rows.get(&ids[(hit % ENTITIES) as usize]);
        let entity = now(read);
        assert!(entity.as_ref().is_ok_and(Option::is_some));
        black_box(entity.ok());
    }
}

fn memory(engine: Engine) -> InMemoryBackend {
    InMemoryBackend::builder()
        .engine(engine)
        .default_ttl(Duration::from_secs(3_600))
        .build()
}

fn filled<T: CacheEntity, B: CacheBackend>(
    backend: B,
    entities: impl Iterator<Item = T>,
) -> CacheService<B> {
    let service = CacheService::from(CacheExpander::new(backend));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let rows = InMemoryRepository::new();
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

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    if let [_, flag, name, hits] = &arguments[..]
        && flag == "--case"
    {
        let hits = hits.parse().unwrap();
        let all = CASES.iter().chain([&BARE]);
        let (_, run, _) = all.into_iter().find(|(case, ..)| case == name).unwrap();
        run(hits);
        return ExitCode::SUCCESS;
    }
    println!("instructions of one hit, {ENTITIES} entities");
    let of_one = |case| {
        let (once, twice) = (instructions(case, HITS), instructions(case, 2 * HITS));
        (twice - once) / HITS
    };
    let bare = of_one(BARE.0);
    println!("{:<30} {bare:>5}", BARE.0);
    let mut held = true;
    for (case, _, line) in CASES {
        let ours = of_one(case);
        let ratio = ours as f64 / bare as f64;
        held &= ratio <= line;
        let verdict = if ratio <= line { "held" } else { "NOT HELD" };
        println!("{case:<30} {ours:>5} {ratio:>6.2}   ≤ {line:<5} {verdict}");
    }
    if held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
