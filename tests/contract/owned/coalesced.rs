//! Different keys that miss, or are refreshed, at the same time: one query.

use std::time::Duration;

use cache_kit::backend::{CacheBackend, Encoded, InMemoryBackend};
use cache_kit::observability::TtlPolicy;
use cache_kit::testing::{FakeRepository, ManualClock};
use cache_kit::{CacheExpander, CacheService, CachedRepository, Error};
use cache_kit_tests::{Row, row};
use tokio::task::JoinSet;

use super::{SECOND, TTL, with_grace};
use crate::byte_store::MapStore;

/// A service over a table with a thousand rows in version 1, whose loads are coalesced.
struct Scene<B: CacheBackend> {
    time: ManualClock,
    table: FakeRepository<Row>,
    rows: CachedRepository<Row, B>,
}

impl<B: CacheBackend> Scene<B> {
    fn over(backend: B) -> Self {
        let (time, table) = (ManualClock::new(), FakeRepository::new());
        for id in 0..1_000 {
            table.insert(row(&id.to_string(), 1));
        }
        let expander = CacheExpander::new(backend)
            .with_clock(time.clock())
            .with_ttl_policy(TtlPolicy::Fixed(TTL))
            .with_freshness(with_grace());
        let service = CacheService::from(expander);
        let rows = service.repository(table.clone()).coalesce_loads(64);
        Self {
            time,
            table,
            rows: rows.unwrap(),
        }
    }

    /// Reads `ids`, each in a task of its own: the version, or the error.
    async fn read(
        &self,
        ids: impl IntoIterator<Item = usize>,
    ) -> Vec<(String, Result<u64, String>)> {
        let mut tasks = JoinSet::new();
        for id in ids {
            let (rows, id) = (self.rows.clone(), id.to_string());
            tasks.spawn(async move {
                let read = rows.get(&id).await.map_err(|error| error.to_string());
                let version = |row: Option<std::sync::Arc<Row>>| {
                    let row = row.unwrap();
                    assert_eq!(row.id, id);
                    row.version
                };
                let read = read.map(version);
                (id, read)
            });
        }
        tasks.join_all().await
    }

    async fn settled(&self) {
        while self.rows.service().expander().background_tasks() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

async fn a_thousand<B: CacheBackend>(backend: B) {
    let scene = Scene::over(backend);
    for (id, version) in scene.read(0..1_000).await {
        assert_eq!(version, Ok(1), "{id}");
    }
    let queries = scene.table.queries();
    assert!(queries <= 20, "{queries} queries");
    let asked = (0..1_000).map(|id| scene.table.queries_of(&id.to_string()));
    assert!(asked.into_iter().all(|asked| asked == 1));
    scene.settled().await;
    scene.read(0..1_000).await;
    assert_eq!(scene.table.queries(), queries, "all are stored");
}

#[tokio::test]
async fn a_thousand_tasks_on_as_many_keys_make_few_queries() {
    a_thousand(InMemoryBackend::new()).await;
    a_thousand(Encoded::over(MapStore::default())).await;
}

#[tokio::test]
async fn a_key_that_misses_alone_is_asked_for_alone() {
    let scene = Scene::over(InMemoryBackend::new());
    for id in 0..3 {
        scene.read([id]).await;
    }
    assert_eq!((scene.table.queries(), scene.table.batches().len()), (3, 0));
}

#[tokio::test]
async fn one_bad_row_fails_one_call() {
    let scene = Scene::over(InMemoryBackend::new());
    let bad = Error::RepositoryError("does not decode".into());
    scene.table.fail_key(&"13".to_owned(), bad);
    for (id, version) in scene.read(0..50).await {
        match id.as_str() {
            "13" => {
                let error = version.unwrap_err();
                assert!(error.contains("load row:13: does not decode"), "{error}");
            }
            _ => assert_eq!(version, Ok(1), "{id}"),
        }
    }
}

#[tokio::test]
async fn a_panic_of_the_repository_fails_no_call_that_has_another_way() {
    let scene = Scene::over(InMemoryBackend::new());
    scene.table.panic_next(1);
    let read = scene.read(0..50).await;
    assert!(read.into_iter().all(|(_, version)| version == Ok(1)));
}

async fn an_invalidation_in_between<B: CacheBackend>(backend: B) {
    let scene = Scene::over(backend);
    scene.table.hang();
    let reads = scene.read(0..10);
    let update = async {
        scene.table.until_asked(1).await;
        assert_eq!(scene.table.batches()[0].len(), 10);
        scene.table.insert(row("3", 2));
        scene.rows.invalidate(&"3".to_owned()).await.unwrap();
        // It began after the invalidation, and must not get the row of the query that is running.
        let late = scene.read([3]);
        let work = async {
            scene.table.until_asked(2).await;
            scene.table.work();
        };
        tokio::join!(late, work).0
    };
    let (early, late) = tokio::join!(reads, update);
    assert!(early.into_iter().all(|(_, version)| version == Ok(1)));
    assert_eq!(late, [("3".to_owned(), Ok(2))]);
    scene.settled().await;
    let (queries, read) = (scene.table.queries(), scene.read(0..10).await);
    for (id, version) in read {
        assert_eq!(version, Ok(if id == "3" { 2 } else { 1 }));
    }
    assert_eq!(scene.table.queries(), queries, "all are stored");
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_concerns_its_own_key() {
    an_invalidation_in_between(InMemoryBackend::new()).await;
    an_invalidation_in_between(Encoded::over(MapStore::default())).await;
}

#[tokio::test(start_paused = true)]
async fn stale_keys_are_refreshed_together() {
    let scene = Scene::over(InMemoryBackend::new());
    scene.read(0..50).await;
    let before = scene.table.queries();
    for id in 0..50 {
        scene.table.insert(row(&id.to_string(), 2));
    }
    scene.time.advance(TTL);
    let read = scene.read(0..50).await;
    assert!(read.into_iter().all(|(_, version)| version == Ok(1)));
    scene.settled().await;
    let read = scene.read(0..50).await;
    assert!(read.into_iter().all(|(_, version)| version == Ok(2)));
    let queries = scene.table.queries() - before;
    assert!(queries <= 2, "{queries} queries");
}

#[tokio::test(start_paused = true)]
async fn a_bad_row_keeps_its_neighbours_stale_for_one_pause() {
    let scene = Scene::over(InMemoryBackend::new());
    scene.read(0..20).await;
    for id in 0..20 {
        scene.table.insert(row(&id.to_string(), 2));
    }
    let bad = Error::RepositoryError("does not decode".into());
    scene.table.fail_key(&"13".to_owned(), bad);
    scene.time.advance(TTL);
    let step = Duration::from_millis(100);
    for _ in 0..100 {
        let read = scene.read(0..20).await;
        assert!(read.iter().all(|(_, version)| version.is_ok()), "{read:?}");
        scene.settled().await;
        scene.time.advance(step);
        tokio::time::advance(step).await;
    }
    for (id, version) in scene.read(0..20).await {
        let tries = scene.table.queries_of(&id) - 1;
        match id.as_str() {
            // At 0, 1, 3 and 7 s.
            "13" => assert_eq!((version, tries), (Ok(1), 4)),
            _ => assert_eq!((version, tries), (Ok(2), 2), "{id}"),
        }
    }
    scene.time.advance(30 * SECOND);
    scene.table.work();
    scene.read([13]).await;
    scene.settled().await;
    assert_eq!(scene.read([13]).await, [("13".to_owned(), Ok(2))]);
}
