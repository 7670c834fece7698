//! Callers that wait for the load of another process: only for the one that they saw.

use std::time::Duration;

use cache_kit::CacheStrategy::{self, Bypass, Refresh};
use cache_kit::backend::{CacheBackend, Encoded};
use cache_kit::{CacheExpander, CacheService, Result, SharedFeeder};
use cache_kit_tests::servers::eventually_async;
use cache_kit_tests::{Gated, Row};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::shelf::{Op, Shelf};

/// Longer than any wait of the test.
const LEASE_WAIT: Duration = Duration::from_secs(60);

/// Processes over one store, each with a database of its own over one table.
struct Scene {
    shelf: Shelf,
    processes: [CacheService<Encoded<Shelf>>; 3],
    databases: [Gated; 3],
}

impl Scene {
    fn new() -> Self {
        let shelf = Shelf::default();
        let process = |_| {
            CacheExpander::new(Encoded::over(shelf.clone()))
                .with_lease_wait(LEASE_WAIT)
                .with_load_deadline(2 * LEASE_WAIT)
                .into()
        };
        let databases = [(); 3].map(|()| Gated::closed());
        for database in &databases {
            database.set("a", 1);
            database.set("b", 1);
        }
        Self {
            processes: [0, 1, 2].map(process),
            databases,
            shelf,
        }
    }

    /// Until a call that waits for another process has looked up some times, with pauses between.
    async fn looks_again(&self) {
        let before = self.shelf.count(Op::Get);
        eventually_async("it looks again", Duration::from_secs(30), || {
            self.shelf.count(Op::Get) > before + 3
        })
        .await;
    }

    fn spawn(&self, process: usize, batch: bool, strategy: CacheStrategy) -> Answer {
        let (service, database) = (
            self.processes[process].clone(),
            self.databases[process].clone(),
        );
        let ids: &[&str] = if batch { &["a", "b"] } else { &["a"] };
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        tokio::spawn(async move { read(&service, &database, &ids, strategy).await })
    }
}

type Answer = JoinHandle<Result<Vec<Option<u64>>>>;

async fn read<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Gated,
    ids: &[String],
    strategy: CacheStrategy,
) -> Result<Vec<Option<u64>>> {
    let mut feeders: Vec<_> = ids.iter().cloned().map(SharedFeeder::<Row>::new).collect();
    match &mut feeders[..] {
        [feeder] => drop(service.execute(feeder, database, strategy).await?),
        feeders => drop(service.execute_many(feeders, database, strategy).await?),
    }
    let version = |feeder: SharedFeeder<Row>| feeder.entity.map(|row| row.version);
    Ok(feeders.into_iter().map(version).collect())
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_replaced_by_another_one_is_waited_for_no_longer() {
    for batch in [false, true] {
        let scene = Scene::new();
        let first = scene.spawn(0, batch, Refresh);
        scene.databases[0].entered(1).await;
        let waiting = scene.spawn(1, batch, Refresh);
        scene.looks_again().await;
        assert_eq!(scene.databases[1].loads(), 0, "it waits for the first");

        // The first lease is worthless now, and another process takes one.
        let ids = ["a", "b"].map(str::to_owned);
        let service = &scene.processes[2];
        service.invalidate_many::<Row>(&ids).await.unwrap();
        let other = scene.spawn(2, batch, Bypass);
        scene.databases[2].entered(1).await;

        let since = Instant::now();
        scene.databases[1].entered(1).await;
        assert!(since.elapsed() < LEASE_WAIT / 2, "{:?}", since.elapsed());
        for database in &scene.databases {
            database.let_through(10);
        }
        for answer in [first, waiting, other] {
            let seen = answer.await.unwrap().unwrap();
            assert!(seen.iter().all(|version| *version == Some(1)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_other_process_stores_ends_the_wait_without_a_load() {
    for batch in [false, true] {
        let scene = Scene::new();
        let first = scene.spawn(0, batch, Refresh);
        scene.databases[0].entered(1).await;
        let waiting = scene.spawn(1, batch, Refresh);
        scene.looks_again().await;
        scene.databases[0].let_through(1);
        first.await.unwrap().unwrap();
        let seen = waiting.await.unwrap().unwrap();
        assert!(seen.iter().all(|version| *version == Some(1)));
        assert_eq!(scene.databases[1].loads(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_given_up_is_taken_over() {
    for batch in [false, true] {
        let scene = Scene::new();
        let first = scene.spawn(0, batch, Refresh);
        scene.databases[0].entered(1).await;
        let waiting = scene.spawn(1, batch, Refresh);
        scene.looks_again().await;
        first.abort();
        assert!(first.await.is_err());
        let since = Instant::now();
        scene.databases[1].entered(1).await;
        assert!(since.elapsed() < LEASE_WAIT / 2, "{:?}", since.elapsed());
        scene.databases[1].let_through(1);
        waiting.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_has_an_end() {
    for batch in [false, true] {
        let scene = Scene::new();
        let first = scene.spawn(0, batch, Refresh);
        scene.databases[0].entered(1).await;
        let since = Instant::now();
        let waiting = scene.spawn(1, batch, Refresh);
        scene.databases[1].entered(1).await;
        let waited = since.elapsed();
        assert!(
            waited >= LEASE_WAIT && waited < 2 * LEASE_WAIT,
            "{waited:?}"
        );
        scene.databases[1].let_through(1);
        waiting.await.unwrap().unwrap();
        scene.databases[0].let_through(1);
        first.await.unwrap().unwrap();
    }
}
