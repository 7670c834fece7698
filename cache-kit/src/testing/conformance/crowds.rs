//! Many tasks at once: none waits for ever, gets another's answer, or sees an invalidated version.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;

use crate::backend::{CacheBackend, Invalidated, Leased, Lookup, Take};
use crate::clock::Timestamp;

use super::client::{fresh, no_error, request, shown, version_of};
use super::harness::Harness;
use super::specimen::{Specimen, specimen};

const TASKS: u64 = 300;
const ROUNDS: usize = 12;
const KEYS: usize = 6;

/// A row of the database that the crowd reads and writes.
struct Row {
    key: String,
    version: AtomicU64,
    /// The invalidation was acknowledged, so no look-up that begins now may find anything older.
    floor: AtomicU64,
}

/// Hundreds of tasks read, load and write a few keys through two clients. Every value belongs to
/// its key and is no older than the last invalidation that was acknowledged before the look-up
/// began. All tasks end, and every key stays usable.
pub async fn a_crowd_gets_its_own_answers_and_none_too_old<B: CacheBackend>(harness: &Harness<B>) {
    let clients = [Arc::new(harness.connect()), Arc::new(harness.connect())];
    let rows = rows(harness);
    let now = harness.now();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let backend = Arc::clone(&clients[(task % 2) as usize]);
        let rows = Arc::clone(&rows);
        let mut random = fastrand::Rng::with_seed(task);
        tasks.spawn(async move {
            for _ in 0..ROUNDS {
                let row = &rows[random.usize(..KEYS)];
                match random.u8(..10) {
                    0 => write(&*backend, row).await,
                    1 | 2 => {
                        let take = [Take::Over, Take::IfMissing][random.usize(..2)];
                        give_up(&*backend, row, take, random.bool(), now).await;
                    }
                    3 => write_through(&*backend, row, now).await,
                    _ => read(&*backend, row, now).await,
                }
            }
        });
    }
    all_end(tasks).await;
    usable(harness, &rows).await;
}

/// The same with batches of all keys, in any order.
pub async fn a_crowd_of_batches_keeps_its_answers_apart<B: CacheBackend>(harness: &Harness<B>) {
    let clients = [Arc::new(harness.connect()), Arc::new(harness.connect())];
    let rows = rows(harness);
    let now = harness.now();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS / 4 {
        let backend = Arc::clone(&clients[(task % 2) as usize]);
        let rows = Arc::clone(&rows);
        let mut random = fastrand::Rng::with_seed(task);
        tasks.spawn(async move {
            for _ in 0..ROUNDS {
                let mut chosen: Vec<&Row> = rows.iter().collect();
                random.shuffle(&mut chosen);
                chosen.truncate(random.usize(1..=KEYS));
                if random.u8(..4) == 0 {
                    write_many(&*backend, &chosen).await;
                } else {
                    read_many(&*backend, &chosen, now).await;
                }
            }
        });
    }
    all_end(tasks).await;
    usable(harness, &rows).await;
}

fn rows<B: CacheBackend>(harness: &Harness<B>) -> Arc<[Row]> {
    (0..KEYS)
        .map(|n| Row {
            key: harness.key(&n.to_string()),
            version: AtomicU64::new(1),
            floor: AtomicU64::new(0),
        })
        .collect()
}

async fn all_end(mut tasks: JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => panic!("a task of the crowd did not end: {error}"),
            }
        }
    }
}

async fn usable<B: CacheBackend>(harness: &Harness<B>, rows: &[Row]) {
    let (first, second) = harness.clients();
    for row in rows {
        let version = row.version.load(Ordering::Acquire) + 1;
        first.put(&row.key, version).await;
        second
            .expect(&row.key, Some(version), "after the crowd")
            .await;
    }
}

/// Looks up and, on a miss, loads.
async fn read<B: CacheBackend>(backend: &B, row: &Row, now: Timestamp) {
    let floor = row.floor.load(Ordering::Acquire);
    let found = backend.get::<Specimen>(&row.key, now).await;
    let Lookup::Miss { .. } = judge(row, floor, no_error(found, "get", &row.key)) else {
        return;
    };
    let leased = backend
        .lease::<Specimen>(&row.key, request(Take::IfMissing, now))
        .await;
    if let Leased::Granted { lease, .. } = no_error(leased, "lease", &row.key) {
        let version = row.version.load(Ordering::Acquire);
        dawdle().await;
        let entry = fresh(now, Some(specimen(&row.key, version)));
        let stored = backend.store(&row.key, lease, entry, now).await;
        no_error(stored, "store", &row.key);
    }
}

/// Yields at random, as a load would take some time.
async fn dawdle() {
    for _ in 0..fastrand::u8(..4) {
        tokio::task::yield_now().await;
    }
}

/// Takes a lease and never fills it.
async fn give_up<B: CacheBackend>(backend: &B, row: &Row, take: Take, drops: bool, now: Timestamp) {
    let leased = backend
        .lease::<Specimen>(&row.key, request(take, now))
        .await;
    if let Leased::Granted { lease, .. } = no_error(leased, "lease", &row.key) {
        dawdle().await;
        if drops {
            drop(lease);
        } else {
            let released = backend.release::<Specimen>(&row.key, lease).await;
            no_error(released, "release", &row.key);
        }
    }
}

/// Updates the row, then invalidates.
async fn write<B: CacheBackend>(backend: &B, row: &Row) {
    let version = row.version.fetch_add(1, Ordering::AcqRel) + 1;
    let answer = backend.invalidate::<Specimen>(&row.key).await;
    acknowledged(row, version, no_error(answer, "invalidate", &row.key));
}

/// Updates the row, invalidates by a lease, and stores the current row.
async fn write_through<B: CacheBackend>(backend: &B, row: &Row, now: Timestamp) {
    let version = row.version.fetch_add(1, Ordering::AcqRel) + 1;
    let leased = backend
        .lease::<Specimen>(&row.key, request(Take::Invalidating, now))
        .await;
    let Leased::Granted { lease, .. } = no_error(leased, "lease", &row.key) else {
        panic!("{}: an invalidating lease was not granted", shown(&row.key));
    };
    acknowledged(row, version, Invalidated::Done);
    let value = specimen(&row.key, row.version.load(Ordering::Acquire));
    dawdle().await;
    let entry = fresh(now, Some(value));
    let stored = backend.store(&row.key, lease, entry, now).await;
    no_error(stored, "store", &row.key);
}

async fn read_many<B: CacheBackend>(backend: &B, rows: &[&Row], now: Timestamp) {
    let keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    let floors: Vec<u64> = rows
        .iter()
        .map(|row| row.floor.load(Ordering::Acquire))
        .collect();
    let found = backend.get_many::<Specimen>(&keys, now).await;
    assert_eq!(found.len(), keys.len(), "an answer for each");
    let mut missing = Vec::new();
    for ((row, floor), found) in rows.iter().zip(floors).zip(found) {
        let found = no_error(found, "get_many", &row.key);
        if let Lookup::Miss { .. } = judge(row, floor, found) {
            missing.push(*row);
        }
    }
    let requests: Vec<_> = missing
        .iter()
        .map(|row| (row.key.as_str(), request(Take::IfMissing, now)))
        .collect();
    let leased = backend.lease_many::<Specimen>(&requests).await;
    assert_eq!(leased.len(), missing.len(), "an answer for each");
    let mut batch = Vec::new();
    let mut unused = Vec::new();
    for (row, leased) in missing.into_iter().zip(leased) {
        if let Leased::Granted { lease, .. } = no_error(leased, "lease_many", &row.key) {
            if fastrand::bool() {
                let value = specimen(&row.key, row.version.load(Ordering::Acquire));
                batch.push((row.key.as_str(), lease, fresh(now, Some(value))));
            } else {
                unused.push((row.key.as_str(), lease));
            }
        }
    }
    dawdle().await;
    for released in backend.release_many::<Specimen>(unused).await {
        no_error(released, "release_many", keys[0]);
    }
    for stored in backend.store_many(batch, now).await {
        no_error(stored, "store_many", keys[0]);
    }
}

async fn write_many<B: CacheBackend>(backend: &B, rows: &[&Row]) {
    let versions: Vec<u64> = rows
        .iter()
        .map(|row| row.version.fetch_add(1, Ordering::AcqRel) + 1)
        .collect();
    let keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    let answers = backend.invalidate_many::<Specimen>(&keys).await;
    assert_eq!(answers.len(), keys.len(), "an answer for each");
    for ((row, version), answer) in rows.iter().zip(versions).zip(answers) {
        let answer = no_error(answer, "invalidate_many", &row.key);
        acknowledged(row, version, answer);
    }
}

fn acknowledged(row: &Row, version: u64, answer: Invalidated) {
    super::client::done(answer, &row.key);
    row.floor.fetch_max(version, Ordering::AcqRel);
}

/// Checks that a look-up returns its own row, no older than `floor`.
fn judge(row: &Row, floor: u64, found: Lookup<Specimen>) -> Lookup<Specimen> {
    if let Lookup::Hit { entry, .. } = &found {
        let version = version_of(&row.key, entry);
        assert!(
            version >= floor,
            "{}: version {version} after the invalidation for version {floor} was acknowledged",
            shown(&row.key)
        );
    }
    found
}
