//! What a cache that owns its repository costs: a hit beside one of `execute`, and a lone miss with and
//! without `coalesce_loads`.
//!
//! `cargo bench -p cache-kit-tests --bench owned`: both sides of a comparison take turns, and the
//! medians are compared.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a benchmark that cannot run says why"
)]

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use cache_kit::backend::InMemoryBackend;
use cache_kit::{
    CacheService, CacheStrategy, CachedRepository, DataRepository, InMemoryRepository, Result,
    SharedFeeder,
};
use cache_kit_tests::bench::{Line, User, compare, heads, user, users};

const ROUNDS: usize = 41;
const HITS: u64 = 100_000;

/// A database on this machine, or one that is a network away. It keeps a thread busy, since a timer is
/// coarser than what is measured.
#[derive(Clone)]
struct Takes {
    time: Duration,
}

impl DataRepository<User> for Takes {
    async fn fetch_by_id(&self, id: &u64) -> Result<Option<User>> {
        let begun = Instant::now();
        while begun.elapsed() < self.time {
            tokio::task::yield_now().await;
        }
        Ok(Some(user(*id)))
    }
}

/// Polls a hit, which is ready at once.
fn now<F: Future>(call: F) -> F::Output {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a hit does not wait"),
    }
}

async fn hits(entities: u64) {
    let service = CacheService::new(InMemoryBackend::new());
    let rows: CachedRepository<User, _> = service.repository(users());
    for id in 0..entities {
        rows.get(&id).await.unwrap();
    }
    let none = InMemoryRepository::<User>::new();
    let mut feeders: Vec<_> = (0..entities).map(SharedFeeder::<User>::new).collect();
    let nanos = |begun: Instant| begun.elapsed().as_nanos() as f64 / HITS as f64;
    let medians = compare(
        ROUNDS,
        async || {
            let begun = Instant::now();
            for hit in 0..HITS {
                let feeder = &mut feeders[(hit % entities) as usize];
                now(service.execute(feeder, &none, CacheStrategy::Refresh)).unwrap();
                black_box(feeder.entity.take());
            }
            nanos(begun)
        },
        async || {
            let begun = Instant::now();
            for hit in 0..HITS {
                let id = hit % entities;
                black_box(now(rows.get(&id)).unwrap());
            }
            nanos(begun)
        },
    )
    .await;
    let verdict = Line::AtMost(1.3).verdict(medians.ratio);
    println!(
        "{:<34} {medians} {verdict}",
        format!("a hit in ns, {entities} entities")
    );
}

async fn lone_misses(name: &str, time: Duration, misses: u64, line: f64) {
    let service = |coalesces: bool| {
        let service = CacheService::new(InMemoryBackend::new());
        let rows: CachedRepository<User, _> = service.repository(Takes { time });
        match coalesces {
            true => rows.coalesce_loads(64).unwrap(),
            false => rows,
        }
    };
    let [each, coalesced] = [false, true].map(service);
    let mut next = 0;
    let measured = async |rows: &CachedRepository<User, InMemoryBackend>, next: &mut u64| {
        let begun = Instant::now();
        for _ in 0..misses {
            *next += 1;
            black_box(rows.get(next).await.unwrap());
        }
        begun.elapsed().as_nanos() as f64 / misses as f64
    };
    let mut other = 0;
    let medians = compare(
        ROUNDS,
        async || measured(&each, &mut next).await,
        async || measured(&coalesced, &mut other).await,
    )
    .await;
    let verdict = Line::AtMost(line).verdict(medians.ratio);
    println!("{name:<34} {medians} {verdict}");
}

/// On one thread: the way of a wake-up to another one takes longer than what is measured, and differs
/// from round to round.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("{:<34} {}", "", heads("execute", "get"));
    hits(256).await;
    hits(1_000).await;
    println!("{:<34} {}", "", heads("each alone", "coalesced"));
    // What coalescing costs shows beside a load that takes no time; the lines are for real ones.
    let micros = Duration::from_micros;
    lone_misses("a lone miss in ns, load of 0 µs", micros(0), 2_000, 1.5).await;
    lone_misses("a lone miss in ns, load of 100 µs", micros(100), 200, 1.05).await;
    lone_misses("a lone miss in ns, load of 1 ms", micros(1_000), 30, 1.02).await;
}
