//! Concurrent misses of one key: one load, in whatever order the callers run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_kit::backend::CacheBackend;
use cache_kit::{CacheService, CacheStrategy, DataRepository, Outcome, Result, SharedFeeder};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::{Row, one_turn, row};

/// A database that takes some polls for each load.
#[derive(Debug, Clone, Default)]
pub struct Lazy {
    loads: Arc<AtomicUsize>,
    polls: usize,
}

impl Lazy {
    /// One whose loads take `polls` polls.
    pub fn taking(polls: usize) -> Self {
        Self {
            polls,
            ..Self::default()
        }
    }

    /// How many loads have begun.
    pub fn loads(&self) -> usize {
        self.loads.load(Ordering::Acquire)
    }

    async fn load(&self) {
        self.loads.fetch_add(1, Ordering::AcqRel);
        for _ in 0..self.polls {
            one_turn().await;
        }
    }
}

impl DataRepository<Row> for Lazy {
    async fn fetch_by_id(&self, id: &String) -> Result<Option<Row>> {
        self.load().await;
        Ok(Some(row(id, 1)))
    }

    async fn fetch_by_ids(&self, ids: &[String]) -> Result<Vec<Option<Row>>> {
        self.load().await;
        Ok(ids.iter().map(|id| Some(row(id, 1))).collect())
    }
}

/// How a caller asks for its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// In a call of its own.
    Single,
    /// In a batch.
    Batch,
}

/// Asks for the row `id`.
///
/// # Errors
/// As the call.
pub async fn read<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Lazy,
    id: &str,
    way: Way,
) -> Result<Outcome> {
    let mut feeder = SharedFeeder::<Row>::new(id.to_owned());
    let outcome = match way {
        Way::Single => {
            service
                .execute(&mut feeder, database, CacheStrategy::Refresh)
                .await?
        }
        Way::Batch => {
            let feeders = std::slice::from_mut(&mut feeder);
            service
                .execute_many(feeders, database, CacheStrategy::Refresh)
                .await?[0]
        }
    };
    assert_eq!(feeder.entity.map(|row| row.version), Some(1));
    Ok(outcome)
}

/// In each round eight tasks ask for a key that is not there, half of them in batches: one load.
pub async fn one_load_each<B: CacheBackend>(service: &CacheService<B>, rounds: u64) {
    const CALLERS: u64 = 8;
    for round in 0..rounds {
        let database = Lazy::taking(round as usize % 3);
        let start = Arc::new(Barrier::new(CALLERS as usize));
        let mut callers = JoinSet::new();
        for n in 0..CALLERS {
            let (service, database, start) = (service.clone(), database.clone(), start.clone());
            callers.spawn(async move {
                // Some rounds are of single calls alone, some of batches, some of both.
                let way = match (round % 4, n % 2) {
                    (0, _) | (2 | 3, 0) => Way::Single,
                    _ => Way::Batch,
                };
                start.wait().await;
                read(&service, &database, &format!("race-{round}"), way).await
            });
        }
        let answers = callers.join_all().await;
        assert!(
            answers.iter().all(Result::is_ok),
            "round {round}: {answers:?}"
        );
        assert_eq!(database.loads(), 1, "round {round}: {answers:?}");
    }
}
