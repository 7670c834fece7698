//! The same with repositories that the cache owns, in front of a database that fails and panics at
//! times, while entries turn stale and are refreshed.
//!
//! A stale answer is right unless it is older than what was invalidated before its call began. In the
//! end nothing runs and nothing is held: no task, no flight, no lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cache_kit::CacheStrategy::{self, Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::{CacheBackend, Invalidated};
use cache_kit::observability::TtlPolicy;
use cache_kit::testing::ManualClock;
use cache_kit::{
    CacheExpander, CacheService, CachedRepository, DataRepository, Error, FreshnessPolicy, Outcome,
    Result, SharedFeeder,
};
use fastrand::Rng;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::calls::PATIENCE;
use crate::{Gated, Row};

use super::{KEYS, Versions, side_by_side};

const TTL: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(20);

/// A database that panics at times.
#[derive(Clone)]
struct Moody {
    table: Gated,
    panics: Arc<AtomicBool>,
}

impl Moody {
    fn closed() -> Self {
        Self {
            table: Gated::closed(),
            panics: Arc::default(),
        }
    }

    fn panic_if_it_is_to(&self) {
        assert!(!self.panics.load(Ordering::Relaxed), "in a bad mood");
    }
}

impl DataRepository<Row> for Moody {
    async fn fetch_by_id(&self, id: &String) -> Result<Option<Row>> {
        let row = self.table.fetch_by_id(id).await;
        self.panic_if_it_is_to();
        row
    }

    async fn fetch_by_ids(&self, ids: &[String]) -> Result<Vec<Option<Row>>> {
        let rows = self.table.fetch_by_ids(ids).await;
        self.panic_if_it_is_to();
        rows
    }
}

struct Process<B: CacheBackend> {
    service: CacheService<B>,
    rows: CachedRepository<Row, B>,
    borrowed: Moody,
}

impl<B: CacheBackend> Clone for Process<B> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            rows: self.rows.clone(),
            borrowed: self.borrowed.clone(),
        }
    }
}

/// How a call reads.
#[derive(Clone, Copy)]
enum Way {
    Owned,
    Many,
    Borrowed,
    BorrowedMany,
}

/// The strategy of a call; `None` only invalidates.
async fn perform<B: CacheBackend>(
    process: Process<B>,
    ids: Vec<String>,
    way: Way,
    strategy: Option<CacheStrategy>,
) -> Result<Vec<Option<u64>>> {
    let Some(strategy) = strategy else {
        let done = process.rows.invalidate_many(&ids).await?;
        assert_eq!(done, Invalidated::Done);
        return Ok(vec![None; ids.len()]);
    };
    let mut feeders: Vec<_> = ids.iter().cloned().map(SharedFeeder::<Row>::new).collect();
    let Process {
        service,
        rows,
        borrowed,
    } = process;
    let answers: Vec<(Option<Arc<Row>>, Outcome)> = match way {
        Way::Owned => vec![rows.get(&ids[0]).strategy(strategy).with_outcome().await?],
        Way::Many => {
            rows.get_many(&ids)
                .strategy(strategy)
                .with_outcome()
                .await?
        }
        Way::Borrowed => {
            let outcome = service
                .execute(&mut feeders[0], &borrowed, strategy)
                .await?;
            vec![(feeders[0].entity.clone(), outcome)]
        }
        Way::BorrowedMany => {
            let outcomes = service
                .execute_many(&mut feeders, &borrowed, strategy)
                .await?;
            let entities = feeders.into_iter().map(|feeder| feeder.entity);
            entities.zip(outcomes).collect()
        }
    };
    for ((row, outcome), id) in answers.iter().zip(&ids) {
        assert!(!outcome.degraded().store, "{outcome:?}");
        assert!(row.as_ref().is_none_or(|row| row.id == *id), "a mix-up");
        assert!(
            row.is_some() || strategy == Fresh,
            "{strategy}: {outcome:?}"
        );
    }
    let version = |(row, _): (Option<Arc<Row>>, _)| row.map(|row| row.version);
    Ok(answers.into_iter().map(version).collect())
}

struct Running {
    keys: Vec<usize>,
    floors: Versions,
    rows: Versions,
    invalidates: bool,
    task: JoinHandle<Result<Vec<Option<u64>>>>,
}

impl Running {
    /// Checks the answer against the oracle; an error promises nothing.
    async fn judge(self, floors: &mut Versions) -> usize {
        let Ok(answers) = self.task.await.unwrap() else {
            return 0;
        };
        for (key, seen) in self.keys.into_iter().zip(answers) {
            if let Some(seen) = seen {
                let floor = self.floors[key];
                assert!(seen >= floor, "{seen} is older than {floor}");
            }
            if self.invalidates {
                floors[key] = floors[key].max(self.rows[key]);
            }
        }
        1
    }
}

fn process<B: CacheBackend>(
    backend: B,
    time: &ManualClock,
    database: &Moody,
    rng: &mut Rng,
) -> Process<B> {
    let mut policy = FreshnessPolicy::default()
        .with_jitter(0.2)
        .with_stale_while_revalidate(GRACE)
        .with_stale_if_error(GRACE);
    if rng.bool() {
        policy = policy.with_refresh_ahead(100.0);
    }
    if rng.bool() {
        policy = policy.with_answer_within(Duration::from_millis(1));
    }
    let expander = CacheExpander::new(backend)
        .with_clock(time.clock())
        .with_lease_wait(PATIENCE)
        .with_ttl_policy(TtlPolicy::Fixed(TTL))
        .with_freshness(policy)
        .with_background_tasks(if rng.u8(..4) == 0 { 1 } else { 1_024 });
    let service = CacheService::from(expander);
    let rows = service.repository(database.clone());
    let rows = match rng.bool() {
        true => rows.coalesce_loads(2).unwrap(),
        false => rows,
    };
    Process {
        service,
        rows,
        borrowed: database.clone(),
    }
}

async fn schedule<B: CacheBackend>(seed: u64, backends: [B; 2]) -> usize {
    let rng = &mut Rng::with_seed(seed);
    let database = Moody::closed();
    let time = ManualClock::new();
    let processes = backends.map(|backend| process(backend, &time, &database, rng));
    let names: [String; KEYS] = std::array::from_fn(|key| format!("{seed}-{key}"));
    let (mut rows, mut floors, mut judged) = (Versions::default(), Versions::default(), 0);
    for name in &names {
        database.table.set(name, 0);
    }
    let mut running: Vec<Running> = Vec::new();
    for _ in 0..rng.usize(20..60) {
        match rng.u8(..16) {
            0..=3 if running.len() < 6 => {
                let way = *rng
                    .choice(&[
                        Way::Owned,
                        Way::Owned,
                        Way::Many,
                        Way::Borrowed,
                        Way::BorrowedMany,
                    ])
                    .unwrap();
                let count = match way {
                    Way::Owned | Way::Borrowed => 1,
                    Way::Many | Way::BorrowedMany => rng.usize(1..=3),
                };
                let keys: Vec<usize> = (0..count).map(|_| rng.usize(..KEYS)).collect();
                let strategy = *rng
                    .choice(&[
                        Some(Refresh),
                        Some(Refresh),
                        Some(Refresh),
                        Some(Refresh),
                        Some(Bypass),
                        Some(Fresh),
                        Some(Invalidate),
                        None,
                    ])
                    .unwrap();
                let ids = keys.iter().map(|key| names[*key].clone()).collect();
                let call = perform(processes[rng.usize(..2)].clone(), ids, way, strategy);
                running.push(Running {
                    keys,
                    floors,
                    rows,
                    invalidates: matches!(strategy, None | Some(Invalidate)),
                    task: tokio::spawn(call),
                });
            }
            4 => {
                let key = rng.usize(..KEYS);
                rows[key] += 1;
                database.table.set(&names[key], rows[key]);
            }
            5..=7 => database.table.let_through(1),
            8..=9 => time.advance(TTL.mul_f64(rng.f64())),
            10 => match rng.u8(..4) {
                0 => {
                    let down = Error::RepositoryError("down".into());
                    database.table.fail(Some(down));
                }
                1 => database.panics.store(true, Ordering::Relaxed),
                _ => {
                    database.table.fail(None);
                    database.panics.store(false, Ordering::Relaxed);
                }
            },
            11 if !running.is_empty() && rng.bool() => {
                running.swap_remove(rng.usize(..running.len())).task.abort();
            }
            _ => tokio::task::yield_now().await,
        }
        let mut at = 0;
        while at < running.len() {
            if running[at].task.is_finished() {
                judged += running.swap_remove(at).judge(&mut floors).await;
            } else {
                at += 1;
            }
        }
    }

    database.table.fail(None);
    database.panics.store(false, Ordering::Relaxed);
    database.table.let_through(100_000);
    for last in running {
        judged += last.judge(&mut floors).await;
    }
    let ends = async {
        nothing_is_left(&processes).await;
        for process in &processes {
            for (name, floor) in names.iter().zip(floors) {
                for strategy in [Fresh, Refresh] {
                    let row = process.rows.get(name).strategy(strategy).await.unwrap();
                    let left = row.map(|row| row.version);
                    assert!(
                        left.is_none_or(|left| left >= floor),
                        "{left:?} was left of {floor}"
                    );
                    // A lease that was left on the key would make this wait.
                    assert!(left.is_some() || strategy == Fresh);
                }
            }
        }
        // A lease that was left beside an entry would keep it from being refreshed.
        time.advance(TTL);
        for name in &names {
            while processes[0]
                .rows
                .get(name)
                .with_outcome()
                .await
                .unwrap()
                .1
                .is_stale()
            {
                time.advance(Duration::from_millis(50));
                tokio::task::yield_now().await;
            }
        }
        nothing_is_left(&processes).await;
    };
    assert!(timeout(PATIENCE, ends).await.is_ok(), "something hangs");
    judged
}

async fn nothing_is_left<B: CacheBackend>(processes: &[Process<B>; 2]) {
    for process in processes {
        let expander = process.service.expander();
        while expander.background_tasks() + expander.loads_in_flight() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Runs the schedules with these seeds, in two processes over these backends.
///
/// # Panics
///
/// When a call got something too old, when something is left, or when too little happened.
pub async fn play_owned<B: CacheBackend + Clone>(backends: [B; 2], seeds: std::ops::Range<u64>) {
    side_by_side(seeds, |seed| schedule(seed, backends.clone())).await;
}
