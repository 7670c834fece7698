//! What the benchmarks share: their entity, rounds of both sides that alternate in one process, and
//! the printed medians, so that the ratios mean something on a shared machine.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run says why")]

use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use cache_kit::backend::CacheBackend;
use cache_kit::{
    CacheEntity, CacheService, CacheStrategy, DataRepository, Error, InMemoryRepository, Result,
    SharedFeeder,
};
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

/// How many users there are.
pub const USERS: u64 = 1_000;

/// How long a round of calls lasts.
pub const ROUND: Duration = Duration::from_millis(250);

/// A small row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct User {
    id: u64,
    name: String,
    email: String,
}

impl CacheEntity for User {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "user"
    }
}

/// The user `id`.
pub fn user(id: u64) -> User {
    User {
        id,
        name: format!("name of user {id}"),
        email: format!("user{id}@example.org"),
    }
}

/// A row of about 2 kB.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Article {
    id: u64,
    title: String,
    paragraphs: Vec<String>,
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

/// The article `id`.
pub fn article(id: u64) -> Article {
    let paragraph = |n| format!("paragraph {n} of article {id}: ").repeat(8);
    Article {
        id,
        title: format!("title of article {id}"),
        paragraphs: (0..9).map(paragraph).collect(),
    }
}

/// All users.
pub fn users() -> InMemoryRepository<User> {
    let users = InMemoryRepository::new();
    for id in 0..USERS {
        users.insert(id, user(id));
    }
    users
}

/// A repository that is not to be asked. It costs nothing to make, where a service has one for all calls.
#[derive(Debug, Clone, Copy)]
pub struct NoRows;

impl<T: CacheEntity> DataRepository<T> for NoRows {
    async fn fetch_by_id(&self, _: &T::Key) -> Result<Option<T>> {
        Err(Error::RepositoryError("only hits are measured".into()))
    }
}

/// Reads a user that the cache has.
///
/// # Panics
///
/// When the cache does not have it.
pub async fn hit<B: CacheBackend>(service: CacheService<B>, id: u64) {
    let mut feeder = SharedFeeder::<User>::new(id);
    let outcome = service
        .execute(&mut feeder, &NoRows, CacheStrategy::Refresh)
        .await
        .unwrap();
    assert!(outcome.is_hit());
    black_box(feeder.entity);
}

/// Loads and stores a user that the cache does not have.
///
/// # Panics
///
/// When the cache has it.
pub async fn miss<B: CacheBackend>(
    service: &CacheService<B>,
    users: &InMemoryRepository<User>,
    id: u64,
) {
    let mut feeder = SharedFeeder::<User>::new(id);
    let outcome = service
        .execute(&mut feeder, users, CacheStrategy::Refresh)
        .await
        .unwrap();
    assert!(!outcome.is_hit());
    black_box(feeder.entity);
}

/// The medians of both sides, and that of the ratios of neighbours. Shown as the columns of a
/// table, whose heads are [`heads`].
#[derive(Debug, Clone, Copy)]
pub struct Medians {
    /// The side that is compared with.
    pub bare: f64,
    /// The other side.
    pub ours: f64,
    /// The second to the first.
    pub ratio: f64,
}

impl fmt::Display for Medians {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bare, ours, ratio } = self;
        write!(f, "{bare:>12.0} {ours:>12.0} {ratio:>8.2}")
    }
}

impl Medians {
    /// The same in words.
    pub fn in_words(&self, bare: &str, ours: &str) -> String {
        format!(
            "{bare} {:.0}, {ours} {:.0}, ratio {:.2}",
            self.bare, self.ours, self.ratio
        )
    }
}

/// What a ratio must not pass.
#[derive(Debug, Clone, Copy)]
pub enum Line {
    /// Of two rates.
    AtLeast(f64),
    /// Of two durations.
    AtMost(f64),
}

impl Line {
    /// The line, and whether `ratio` holds it.
    pub fn verdict(self, ratio: f64) -> String {
        let (sign, line, holds) = match self {
            Self::AtLeast(line) => ('≥', line, ratio >= line),
            Self::AtMost(line) => ('≤', line, ratio <= line),
        };
        let verdict = if holds { "holds" } else { "does not hold" };
        format!("(line {sign} {line:.2}: {verdict})")
    }
}

/// The heads of the columns of [`Medians`].
pub fn heads(bare: &str, ours: &str) -> String {
    format!("{bare:>12} {ours:>12} {:>8}", "ratio")
}

/// Measures both sides in turns, `rounds` times.
pub async fn compare(
    rounds: usize,
    mut bare: impl AsyncFnMut() -> f64,
    mut ours: impl AsyncFnMut() -> f64,
) -> Medians {
    let (mut bares, mut all_ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (bare, ours) = (bare().await, ours().await);
        bares.push(bare);
        all_ours.push(ours);
        ratios.push(ours / bare);
    }
    Medians {
        bare: median(bares),
        ours: median(all_ours),
        ratio: median(ratios),
    }
}

/// The one in the middle.
pub fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// How many microseconds `work` takes.
pub async fn micros(work: impl Future<Output = ()>) -> f64 {
    let begun = Instant::now();
    work.await;
    begun.elapsed().as_nanos() as f64 / 1_000.0
}

/// How many calls a second one task makes.
pub async fn rate(mut call: impl AsyncFnMut()) -> f64 {
    let (begun, mut calls) = (Instant::now(), 0);
    while begun.elapsed() < ROUND {
        call().await;
        calls += 1;
    }
    f64::from(calls) / begun.elapsed().as_secs_f64()
}

/// How many calls a second `tasks` tasks make. A call is given the number of its task, and of a
/// user.
///
/// # Panics
///
/// When a call panics.
pub async fn throughput<F>(tasks: u64, call: impl Fn(u64, u64) -> F + Clone + Send + 'static) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for task in 0..tasks {
        let call = call.clone();
        running.spawn(async move {
            let (mut calls, mut id) = (0_u64, task * 31);
            while begun.elapsed() < ROUND {
                id = (id + 7) % USERS;
                call(task, id).await;
                calls += 1;
            }
            calls
        });
    }
    let calls: u64 = running.join_all().await.into_iter().sum();
    calls as f64 / begun.elapsed().as_secs_f64()
}

/// How many calls a second `runtimes` runtimes of one thread make with `tasks` tasks each, as in a
/// server with a runtime for each worker.
///
/// # Panics
///
/// When a call panics.
pub async fn on_runtimes<F>(
    runtimes: usize,
    tasks: u64,
    call: impl Fn(u64, u64) -> F + Clone + Send + 'static,
) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut workers = JoinSet::new();
    for _ in 0..runtimes {
        let call = call.clone();
        workers.spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(throughput(tasks, call))
        });
    }
    workers.join_all().await.into_iter().sum()
}
