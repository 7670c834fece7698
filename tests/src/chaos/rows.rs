//! The rows, their database, and the oracle: an acknowledged version is a floor for later reads.

#![allow(clippy::panic, reason = "some loads are to panic")]

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cache_kit::{CacheEntity, DataRepository, Error, Result};
use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// There is no row in every version that is divisible by this.
const ABSENT: u64 = 7;

/// The panic message of a load; the runner keeps it out of the output.
pub(super) const ON_PURPOSE: &str = "on purpose";

/// A row of one of several types.
pub(super) trait Thing: CacheEntity<Key = String> {
    fn make(id: &str, version: u64) -> Self;
    fn version(&self) -> u64;
}

macro_rules! thing {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $ttl:expr, $stale:expr, $negative:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, Deserialize)]
        pub(super) struct $name {
            id: String,
            version: u64,
            rest: String,
        }

        impl CacheEntity for $name {
            type Key = String;

            fn cache_key(&self) -> String {
                self.id.clone()
            }

            fn cache_prefix() -> &'static str {
                $prefix
            }

            fn cache_ttl() -> Option<Duration> {
                $ttl
            }

            fn cache_stale_if_error() -> Option<Duration> {
                $stale
            }

            fn cache_negative_ttl() -> Option<Duration> {
                $negative
            }
        }

        impl Thing for $name {
            fn make(id: &str, version: u64) -> Self {
                // Sometimes as long as several reads of a socket.
                let length = if version % 11 == 0 { 30_000 } else { version % 90 };
                Self {
                    id: id.to_owned(),
                    version,
                    rest: "x".repeat(usize::try_from(length).unwrap_or(0)),
                }
            }

            fn version(&self) -> u64 {
                self.version
            }
        }
    };
}

thing!(
    /// Expires all the time, and may be served stale.
    Brief,
    "brief",
    Some(Duration::from_millis(300)),
    Some(Duration::from_secs(3)),
    Some(Duration::from_millis(200))
);
thing!(
    /// Goes only when it is invalidated.
    Lasting,
    "lasting",
    None,
    None,
    Some(Duration::from_secs(3_600))
);

/// The table, and the versions that readers must not get any more.
#[derive(Debug)]
pub(super) struct Rows {
    rows: Vec<Row>,
    rng: Mutex<Rng>,
    /// While it is calm, loads neither fail nor take time.
    calm: AtomicBool,
    loads: AtomicUsize,
}

#[derive(Debug)]
struct Row {
    id: String,
    version: AtomicU64,
    /// The version that the last acknowledged invalidation made mandatory.
    floor: AtomicU64,
    /// By process: the version that a queued invalidation made mandatory there.
    here: Vec<AtomicU64>,
}

impl Rows {
    pub(super) fn new(rows: usize, processes: usize, seed: u64) -> Self {
        let row = |id: usize| Row {
            id: id.to_string(),
            version: AtomicU64::new(1),
            floor: AtomicU64::new(0),
            here: (0..processes).map(|_| AtomicU64::new(0)).collect(),
        };
        Self {
            rows: (0..rows).map(row).collect(),
            rng: Mutex::new(Rng::with_seed(seed)),
            calm: AtomicBool::new(false),
            loads: AtomicUsize::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn id(&self, row: usize) -> &String {
        &self.rows[row].id
    }

    pub(super) fn loads(&self) -> usize {
        self.loads.load(Ordering::Relaxed)
    }

    pub(super) fn calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// Commits and returns the next version.
    pub(super) fn update(&self, row: usize) -> u64 {
        self.rows[row].version.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// An invalidation that began when the row was in `version` is acknowledged.
    pub(super) fn acknowledged(&self, row: usize, version: u64) {
        self.rows[row].floor.fetch_max(version, Ordering::SeqCst);
    }

    /// An invalidation is queued; its own process serves nothing older meanwhile.
    pub(super) fn pending(&self, row: usize, process: usize, version: u64) {
        self.rows[row].here[process].fetch_max(version, Ordering::SeqCst);
    }

    /// The floor for a reader of `process` that begins now.
    pub(super) fn floor(&self, row: usize, process: usize) -> u64 {
        let row = &self.rows[row];
        let here = row.here[process].load(Ordering::SeqCst);
        here.max(row.floor.load(Ordering::SeqCst))
    }

    /// Whether a reader with this floor may see this by now.
    pub(super) fn allows(&self, row: usize, floor: u64, seen: Option<u64>) -> bool {
        match seen {
            Some(version) => version >= floor,
            // In some version since the floor there was no row.
            None => {
                let absent = floor.next_multiple_of(ABSENT);
                absent <= self.rows[row].version.load(Ordering::SeqCst)
            }
        }
    }

    async fn load(&self, ids: &[String]) -> Result<Vec<Option<(String, u64)>>> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        let read = |id: &String| {
            let row = self.rows.iter().find(|row| row.id == *id)?;
            let version = row.version.load(Ordering::SeqCst);
            (version % ABSENT != 0).then(|| (id.clone(), version))
        };
        // The row may be outdated when the load answers.
        let found = ids.iter().map(read).collect();
        if self.calm.load(Ordering::Relaxed) {
            return Ok(found);
        }
        let (fate, pause) = {
            let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
            (rng.u8(..100), Duration::from_millis(rng.u64(..30)))
        };
        match fate {
            0..40 => {}
            40..90 => tokio::time::sleep(pause).await,
            90..94 => tokio::time::sleep(pause * 8).await,
            94..97 => return Err(Error::RepositoryError(ON_PURPOSE.into())),
            97 => panic!("{ON_PURPOSE}"),
            98 => std::future::pending().await,
            _ => tokio::task::yield_now().await,
        }
        Ok(found)
    }
}

impl<T: Thing> DataRepository<T> for Rows {
    async fn fetch_by_id(&self, id: &String) -> Result<Option<T>> {
        let mut found = self.load(std::slice::from_ref(id)).await?;
        Ok(found
            .pop()
            .flatten()
            .map(|(id, version)| T::make(&id, version)))
    }

    async fn fetch_by_ids(&self, ids: &[String]) -> Result<Vec<Option<T>>> {
        let found = self.load(ids).await?;
        let thing = |(id, version): (String, u64)| T::make(&id, version);
        Ok(found.into_iter().map(|row| row.map(thing)).collect())
    }
}

/// A database that has every row, and answers at once.
#[derive(Debug)]
pub(super) struct Steady;

impl<T: Thing> DataRepository<T> for Steady {
    async fn fetch_by_id(&self, id: &String) -> Result<Option<T>> {
        Ok(Some(T::make(id, 1)))
    }
}
