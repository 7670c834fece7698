//! What a refresh leaves behind: the new row, nothing where there is none any more, or a pause.

use std::time::Duration;

use cache_kit::CacheStrategy::{Bypass, Refresh};
use cache_kit::backend::{CacheBackend, Encoded, InMemoryBackend};
use cache_kit::repository::from_fn;
use cache_kit::testing::{Fault, FaultyBackend, ManualClock};
use cache_kit::{
    CacheExpander, CacheFeed, CacheService, CachedRepository, DataRepository, Error,
    FreshnessPolicy, OperationConfig, Result, Source,
};
use cache_kit_tests::calls::call;
use cache_kit_tests::{Gated, Row};

use super::{IF_ERROR, REVALIDATED, SECOND, Scene, TTL, with_grace};
use crate::byte_store::MapStore;

/// A row that was deleted behind the cache is answered until the first load that knows.
async fn goes_with_its_row<B: CacheBackend>(backend: B, borrowed: bool, late: Duration) {
    let scene = Scene::over(backend, with_grace());
    assert_eq!(scene.get().await.0, Some(1));
    scene.time.advance(TTL + late);
    let empty = Gated::open();
    let rows = scene.service.repository(empty.clone());
    let id = "k".to_owned();
    for _ in 0..2 {
        if borrowed {
            call(&scene.service, &empty, "k", Refresh).await.unwrap();
        } else {
            rows.get(&id).await.unwrap();
            scene.settled().await;
        }
    }
    let (row, outcome) = rows.get(&id).with_outcome().await.unwrap();
    assert!(row.is_none(), "{outcome:?}");
    // Nor does it stand in for an error.
    empty.fail(Some(Error::RepositoryError("down".into())));
    assert!(rows.get(&id).await.is_err());
}

#[tokio::test]
async fn an_entry_whose_row_is_gone_goes_with_the_first_load_that_knows() {
    for borrowed in [false, true] {
        for late in [Duration::ZERO, REVALIDATED] {
            goes_with_its_row(InMemoryBackend::new(), borrowed, late).await;
            goes_with_its_row(Encoded::over(MapStore::default()), borrowed, late).await;
        }
    }
}

#[tokio::test]
async fn bypass_removes_an_entry_whose_row_is_gone() {
    let scene = Scene::new(FreshnessPolicy::default());
    assert_eq!(scene.get().await.0, Some(1));
    let (outcome, row) = call(&scene.service, &Gated::open(), "k", Bypass)
        .await
        .unwrap();
    assert_eq!((outcome.source(), row), (Source::Repository, None));
    assert!(scene.rows.try_get(&"k".to_owned()).is_none());
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_refreshed_at_every_read() {
    let backend = FaultyBackend::new(InMemoryBackend::new());
    let scene = Scene::over(backend.clone(), with_grace());
    assert_eq!(scene.get().await.0, Some(1));
    scene.time.advance(TTL);
    backend.fail(Fault::Stores);
    let before = scene.database.loads();
    for n in 0..20 {
        let (row, outcome) = scene.get().await;
        assert_eq!(row, Some(1));
        assert!(
            outcome.is_stale() && !outcome.degraded().repository,
            "{outcome:?}"
        );
        assert_eq!(outcome.is_refreshing(), n == 0);
        assert_eq!(outcome.degraded().store, n > 0);
        scene.settled().await;
    }
    assert_eq!(scene.database.loads(), before + 1);
    scene.time.advance(SECOND);
    backend.recover();
    assert!(scene.get().await.1.is_refreshing());
    scene.settled().await;
    assert!(!scene.get().await.1.is_stale());
}

#[tokio::test]
async fn a_call_that_stores_nothing_refreshes_nothing() {
    let scene = Scene::new(with_grace().with_refresh_ahead(1e9));
    assert_eq!(scene.get().await.0, Some(1));
    let id = "k".to_owned();
    for (late, source) in [(SECOND, Source::Cache), (TTL, Source::Repository)] {
        scene.time.advance(late);
        let read = scene.rows.get(&id).ttl(Duration::ZERO).with_outcome().await;
        let outcome = read.unwrap().1;
        assert_eq!(outcome.source(), source);
        assert!(!outcome.is_refreshing(), "{outcome:?}");
    }
    assert_eq!(scene.heard.count("Refreshing"), 0);
}

/// A clock that is set back makes no entry live for longer than twice its time.
#[tokio::test]
async fn an_entry_of_the_future_is_none_of_a_reader_without_a_time_to_live() {
    let hour = SECOND * 3_600;
    let backend = InMemoryBackend::builder().default_ttl(hour).build();
    let (time, database) = (ManualClock::new(), Gated::open());
    database.set("k", 1);
    let expander = CacheExpander::new(backend).with_clock(time.clock());
    let rows = CacheService::from(expander).repository(database.clone());
    let id = "k".to_owned();
    time.advance(hour * 48);
    assert!(rows.get(&id).await.unwrap().is_some());
    let behind = ManualClock::new();
    behind.advance(hour * 24);
    let same = rows.service().backend().clone();
    let expander = CacheExpander::new(same).with_clock(behind.clock());
    let early: CachedRepository<Row, _> = CacheService::from(expander).repository(database);
    let (_, outcome) = early.get(&id).with_outcome().await.unwrap();
    assert_eq!(outcome.source(), Source::Repository);
}

#[tokio::test]
async fn a_setting_of_a_call_leaves_the_others_as_they_are() {
    let scene = Scene::new(FreshnessPolicy::default());
    let config = OperationConfig::default().with_freshness(with_grace());
    let rows = scene.rows.clone().with_config(config);
    let id = "k".to_owned();
    assert!(rows.get(&id).await.unwrap().is_some());
    scene.time.advance(TTL);
    let patience = FreshnessPolicy::default().with_answer_within(SECOND);
    let read = rows.get(&id).freshness(patience).with_outcome().await;
    assert!(read.unwrap().1.is_refreshing());
    scene.settled().await;
    scene.time.advance(TTL);
    let off = FreshnessPolicy::default().with_stale_while_revalidate(Duration::ZERO);
    let read = rows.get(&id).freshness(off).with_outcome().await;
    assert_eq!(read.unwrap().1.source(), Source::Repository);
}

#[tokio::test(start_paused = true)]
async fn a_patience_of_zero_is_none() {
    let policy = with_grace().with_answer_within(Duration::ZERO);
    let scene = Scene::over(InMemoryBackend::new(), policy);
    assert_eq!(scene.get().await.0, Some(1));
    scene.database.set("k", 2);
    scene.time.advance(TTL + REVALIDATED);
    assert_eq!(scene.get().await.0, Some(2));
}

/// Hears what it is told.
#[derive(Default)]
struct Told {
    hooks: Vec<&'static str>,
}

impl CacheFeed<Row> for Told {
    fn entity_id(&mut self) -> String {
        "k".to_owned()
    }

    fn feed(&mut self, entity: Option<Row>) {
        self.hooks
            .push(if entity.is_some() { "row" } else { "none" });
    }

    fn on_hit(&mut self, _: &str) -> Result<()> {
        self.hooks.push("hit");
        Ok(())
    }

    fn on_miss(&mut self, _: &str) -> Result<()> {
        self.hooks.push("miss");
        Ok(())
    }

    fn on_loaded(&mut self, _: &Row) -> Result<()> {
        self.hooks.push("loaded");
        Ok(())
    }
}

#[tokio::test]
async fn a_feeder_is_told_of_one_thing() {
    let scene = Scene::new(with_grace());
    let told = async |scene: &Scene| {
        let mut feeders = [Told::default(), Told::default()];
        let [one, _] = &mut feeders;
        let (service, database) = (&scene.service, &scene.database);
        service.execute(one, database, Refresh).await.unwrap();
        let [one, many] = feeders;
        let mut many = [many];
        service
            .execute_many(&mut many, database, Refresh)
            .await
            .unwrap();
        [one.hooks.join(" "), many[0].hooks.join(" ")]
    };
    assert_eq!(told(&scene).await, ["miss loaded row", "hit row"]);
    scene.time.advance(TTL);
    assert_eq!(told(&scene).await, ["miss loaded row", "hit row"]);
    let down = Error::RepositoryError("down".into());
    scene.database.fail(Some(down));
    scene.time.advance(TTL);
    assert_eq!(told(&scene).await, ["miss row", "hit row"]);
    scene.time.advance(REVALIDATED + IF_ERROR / 2);
    assert_eq!(told(&scene).await, ["miss row", "hit row"]);
}

/// A database that is some milliseconds away.
#[derive(Clone)]
struct Away(Gated, Duration);

impl DataRepository<Row> for Away {
    async fn fetch_by_id(&self, id: &String) -> Result<Option<Row>> {
        let row = self.0.fetch_by_id(id).await;
        tokio::time::sleep(self.1).await;
        row
    }

    async fn fetch_by_ids(&self, ids: &[String]) -> Result<Vec<Option<Row>>> {
        let rows = self.0.fetch_by_ids(ids).await;
        tokio::time::sleep(self.1).await;
        rows
    }
}

/// Each of 1,000 tasks misses a key of its own, and gets its own row. Returns how many queries it took.
async fn a_thousand_keys(away: Duration) -> usize {
    let database = Gated::open();
    for n in 0..1_000 {
        database.set(&n.to_string(), n);
    }
    let cache = CacheService::new(InMemoryBackend::new());
    let rows = cache
        .repository(Away(database.clone(), away))
        .coalesce_loads(64)
        .unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..1_000_u64 {
        let rows = rows.clone();
        tasks.spawn(async move { (n, rows.get(&n.to_string()).await) });
    }
    while let Some(task) = tasks.join_next().await {
        let (n, row) = task.unwrap();
        assert_eq!(row.unwrap().unwrap().version, n);
    }
    let queries = database.queries();
    assert!(queries.iter().all(|ids| ids.len() <= 64));
    queries.len()
}

#[tokio::test]
async fn a_thousand_missing_keys_are_few_queries() {
    for _ in 0..5 {
        let queries = a_thousand_keys(Duration::ZERO).await;
        assert!(queries <= 20, "{queries} queries");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_missing_keys_are_few_queries_on_four_threads() {
    // Queries that take no time at all would end before the next tasks have begun. A machine that is
    // busy for longer than ids wait makes a few more, so the median counts.
    let mut queries = Vec::new();
    for _ in 0..9 {
        queries.push(a_thousand_keys(Duration::from_millis(5)).await);
    }
    queries.sort_unstable();
    assert!(queries[4] <= 20, "{queries:?}");
}

#[tokio::test]
async fn one_bad_row_fails_one_task() {
    let bad = from_fn(|id: &String| {
        let row = cache_kit_tests::row(id, 1);
        async move {
            match row.id.as_str() {
                "13" => Err(Error::RepositoryError("a bad row".into())),
                _ => Ok(Some(row)),
            }
        }
    });
    let cache = CacheService::new(InMemoryBackend::new());
    let rows: CachedRepository<Row, _> = cache.repository(bad).coalesce_loads(64).unwrap();
    let ids: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for id in ids {
        let rows = rows.clone();
        tasks.spawn(async move { (id.clone(), rows.get(&id).await) });
    }
    while let Some(task) = tasks.join_next().await {
        let (id, row) = task.unwrap();
        assert_eq!(row.is_err(), id == "13", "{id}");
    }
    assert!(
        cache
            .repository_of::<Row, _>(Gated::open())
            .coalesce_loads(0)
            .is_err()
    );
}
