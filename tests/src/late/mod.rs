//! A wire that delivers late: one copy of a command reaches the server after everything that its
//! client has done since.
//!
//! A slow call has read version 1, or that there is no row, and waits with it. The row is updated
//! and the key invalidated, which is acknowledged. The copy arrives, and the slow call ends. A read
//! that begins after the acknowledgement gets version 2, whatever the source of its answer.

#![allow(
    clippy::unwrap_used,
    reason = "test support: what must not fail ends the test"
)]

mod scene;
mod tally;

pub use scene::Scene;
pub use tally::Tally;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_kit::backend::CacheBackend;
use cache_kit::{CacheEntity, CacheService, CacheStrategy, Outcome, SharedFeeder, Source};
use tokio::task::JoinHandle;

use crate::servers::Kind;
use crate::{Gated, Ghost, Ghosts};

/// How many keys a batch has.
const BATCH: usize = 3;

/// How long a reader may take to end by itself before the slow call ends. A reader that has not
/// ended waits for the slow call, or the machine is busy. Both are allowed; its answer is checked.
pub const BY_ITSELF: Duration = Duration::from_millis(100);

/// What is under the keys before the slow call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// An entry in version 1, or the absence.
    Entry,
    /// Something that is not an entry.
    Foreign,
}

/// How the slow call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It stores what it has read.
    Stores,
    /// Its load fails.
    Fails,
    /// It is dropped while it loads.
    Dropped,
}

/// How the key is invalidated once the row is in version 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalidation {
    /// By another process.
    Elsewhere,
    /// By another process, in a batch.
    Many,
    /// By another process that loads, too.
    Strategy,
    /// By the process with the unreliable wire.
    Here,
    /// By a plain removal of the key.
    ByHand,
}

/// All of them.
pub const INVALIDATIONS: [Invalidation; 5] = [
    Invalidation::Elsewhere,
    Invalidation::Many,
    Invalidation::Strategy,
    Invalidation::Here,
    Invalidation::ByHand,
];

/// When the late command arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the update.
    Early,
    /// After the acknowledgement, while the slow call still loads.
    Acknowledged,
    /// The same, without a read before the slow call has ended.
    Unread,
    /// After the end of the slow call, without a read since.
    SlowEnded,
    /// When others have read version 2 and stored it.
    Stored,
}

/// All of them.
pub const MOMENTS: [Moment; 5] = [
    Moment::Early,
    Moment::Acknowledged,
    Moment::Unread,
    Moment::SlowEnded,
    Moment::Stored,
];

/// One possible course of events.
#[derive(Clone, Copy)]
pub struct Case<'c> {
    /// The late commands, in the order of sending.
    pub late: &'c [Kind],
    /// What the slow call does.
    pub strategy: CacheStrategy,
    /// Whether it is for several keys. The command of one of them is late.
    pub batch: bool,
    /// Whether there is a row at first.
    pub present: bool,
    /// What is under the keys.
    pub before: Before,
    /// How the slow call ends.
    pub ending: Ending,
    /// How it is invalidated.
    pub invalidation: Invalidation,
    /// When the late command arrives.
    pub moment: Moment,
}

impl<'c> Case<'c> {
    /// A single call that misses and stores, and another process that invalidates.
    pub fn of(late: &'c [Kind], strategy: CacheStrategy, moment: Moment) -> Self {
        Self {
            late,
            strategy,
            batch: false,
            present: true,
            before: Before::Nothing,
            ending: Ending::Stores,
            invalidation: Invalidation::Elsewhere,
            moment,
        }
    }
}

impl fmt::Debug for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let late: Vec<_> = self.late.iter().map(|(name, _)| name).collect();
        f.debug_struct("Case")
            .field("late", &late)
            .field("strategy", &self.strategy)
            .field("batch", &self.batch)
            .field("present", &self.present)
            .field("before", &self.before)
            .field("ending", &self.ending)
            .field("invalidation", &self.invalidation)
            .field("moment", &self.moment)
            .finish()
    }
}

/// The source of an answer, and its version.
pub type Seen = (Source, Option<u64>);

/// Numbers the keys of this process, so that no two cases share one.
static CASES: AtomicUsize = AtomicUsize::new(0);

/// Keys that no other case uses.
pub fn fresh_ids(batch: bool) -> Vec<String> {
    let case = CASES.fetch_add(1, Ordering::Relaxed);
    let count = if batch { BATCH } else { 1 };
    (0..count).map(|n| format!("late-{case}-{n}")).collect()
}

/// The cache key of a row.
pub fn key_of(id: &str) -> String {
    format!("{}:{id}", Ghost::cache_prefix())
}

/// Reads rows.
///
/// # Errors
///
/// Those of the call.
pub async fn read<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Gated,
    ids: &[String],
    strategy: CacheStrategy,
) -> cache_kit::Result<Vec<Seen>> {
    let mut feeders: Vec<_> = ids
        .iter()
        .map(|id| SharedFeeder::<Ghost>::new(id.clone()))
        .collect();
    let rows = &Ghosts(database);
    let outcomes = match &mut feeders[..] {
        [feeder] => vec![service.execute(feeder, rows, strategy).await?],
        feeders => service.execute_many(feeders, rows, strategy).await?,
    };
    let versions = feeders
        .into_iter()
        .map(|feeder| feeder.entity.map(|row| row.version));
    Ok(outcomes.iter().map(Outcome::source).zip(versions).collect())
}

/// [`read`] in a task of its own.
pub fn spawn<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Gated,
    ids: &[String],
    strategy: CacheStrategy,
) -> JoinHandle<cache_kit::Result<Vec<Seen>>> {
    let (service, database, ids) = (service.clone(), database.clone(), ids.to_vec());
    tokio::spawn(async move { read(&service, &database, &ids, strategy).await })
}

/// # Errors
///
/// A read returned something older than version 2, or an absence.
pub fn judge(who: &str, seen: cache_kit::Result<Vec<Seen>>) -> Result<(), String> {
    for (source, version) in seen.unwrap() {
        if source != Source::Nothing && version != Some(2) {
            return Err(format!("{who} got {version:?} from {source}"));
        }
    }
    Ok(())
}
