//! What each way to read does.

use std::sync::Arc;

use cache_kit::CacheStrategy::{Bypass, Fresh, Invalidate};
use cache_kit::backend::{AnyBackend, Encoded, InMemoryBackend, Invalidated};
use cache_kit::observability::StoreResult;
use cache_kit::repository::from_fn;
use cache_kit::{
    CacheService, CachedRepository, DataRepository, Error, ErrorKind, FreshnessPolicy,
    OperationConfig, Source,
};
use cache_kit_tests::{Gated, Row, row};

use super::{SECOND, Scene, TTL};
use crate::byte_store::MapStore;

fn plain() -> Scene {
    Scene::new(FreshnessPolicy::default())
}

#[tokio::test]
async fn one_read_loads_and_the_next_one_hits() {
    let scene = plain();
    let id = "k".to_owned();
    assert!(scene.rows.try_get(&id).is_none());
    let (version, outcome) = scene.get().await;
    assert_eq!((version, outcome.source()), (Some(1), Source::Repository));
    assert_eq!(outcome.store(), StoreResult::Stored);
    let row = scene.rows.get(&id).await.unwrap().unwrap();
    assert_eq!(row.version, 1);
    let again = scene.rows.try_get(&id).unwrap();
    assert!(Arc::ptr_eq(&row, &again), "a hit copies nothing");
    assert_eq!(scene.database.loads(), 1);
    assert_eq!(scene.heard.count("hit row:k"), 2);

    scene.time.advance(TTL);
    assert!(scene.rows.try_get(&id).is_none(), "it is not fresh");
    assert_eq!(scene.get().await.1.source(), Source::Repository);
}

#[tokio::test]
async fn an_invalidation_drops_the_entry() {
    let scene = plain();
    let id = "k".to_owned();
    assert_eq!(scene.get().await.0, Some(1));
    scene.database.set("k", 2);
    let done = scene.rows.invalidate(&id).await.unwrap();
    assert_eq!(done, Invalidated::Done);
    assert_eq!(scene.get().await.0, Some(2));
    scene.database.set("k", 3);
    let ids = ["k".to_owned(), "other".to_owned()];
    let done = scene.rows.invalidate_many(&ids).await.unwrap();
    assert_eq!(done, Invalidated::Done);
    assert_eq!(scene.get().await.0, Some(3));
}

#[tokio::test]
async fn a_call_sets_what_differs() {
    let scene = plain();
    let id = "k".to_owned();
    let read = scene.rows.get(&id).strategy(Fresh).with_outcome().await;
    let (row, outcome) = read.unwrap();
    assert!(row.is_none() && outcome.source() == Source::Nothing);

    let read = scene.rows.get(&id).ttl(SECOND).with_outcome().await;
    assert_eq!(read.unwrap().1.store(), StoreResult::Stored);
    scene.time.advance(SECOND);
    scene.database.set("k", 2);
    assert_eq!(scene.get().await.0, Some(2), "it lived for a second");

    scene.database.set("k", 3);
    for (strategy, seen) in [(Bypass, 3), (Invalidate, 3)] {
        let read = scene.rows.get(&id).strategy(strategy).with_outcome().await;
        let (row, outcome) = read.unwrap();
        assert_eq!(row.unwrap().version, seen, "{strategy}");
        assert_eq!(outcome.source(), Source::Repository, "{strategy}");
    }

    let error = Error::RepositoryError("down".into());
    scene.database.fail(Some(error.clone()));
    let config = OperationConfig::default().with_retry(2);
    let read = scene.rows.get(&id).strategy(Bypass).config(config).await;
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Repository);
    let rows = scene.rows.clone().with_config(config);
    assert!(rows.get(&id).strategy(Bypass).await.is_err());
    assert!(rows.get(&id).strategy(Bypass).retry(0).await.is_err());
    assert_eq!(scene.heard.count("Retried"), 4);
}

#[tokio::test(start_paused = true)]
async fn a_load_ends_at_its_deadline() {
    let database = Gated::closed();
    let cache = CacheService::new(InMemoryBackend::new());
    let rows = cache.repository(database.clone());
    let id = "k".to_owned();
    let late = rows.get(&id).deadline(SECOND).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout);
    assert_eq!(database.dropped(), 1, "the query has been dropped");
    assert_eq!(cache.expander().background_tasks(), 0);
}

#[tokio::test]
async fn many_keys_are_read_in_order_by_one_query() {
    let scene = plain();
    for (id, version) in [("a", 1), ("b", 2), ("d", 4)] {
        scene.database.set(id, version);
    }
    let ids = ["d", "a", "c", "b", "a"].map(str::to_owned);
    let read = scene.rows.get_many(&ids).await.unwrap();
    let versions = read.into_iter().map(|row| row.map(|row| row.version));
    assert!(versions.eq([Some(4), Some(1), None, Some(2), Some(1)]));
    assert_eq!(scene.database.queries(), [["d", "a", "c", "b"]]);

    let read = scene.rows.get_many(&ids).strategy(Fresh).with_outcome();
    let sources = read
        .await
        .unwrap()
        .into_iter()
        .map(|(_, outcome)| outcome.source());
    let cache = Source::Cache;
    assert!(sources.eq([cache, cache, Source::Nothing, cache, cache]));
    assert!(scene.rows.get_many(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn errors_and_panics_are_those_of_the_repository() {
    let scene = plain();
    scene
        .database
        .fail(Some(Error::RepositoryError("down".into())));
    let id = "k".to_owned();
    let error = scene.rows.get(&id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Repository);
    assert!(error.to_string().contains("row:k"), "{error}");
    assert!(
        scene
            .rows
            .get_many(std::slice::from_ref(&id))
            .await
            .is_err()
    );

    let panics = from_fn(|id: &String| {
        let row = row(id, 1);
        async move {
            assert!(row.id != "k", "no such luck");
            Ok(Some(row))
        }
    });
    let rows: CachedRepository<Row, _> = scene.service.repository(panics);
    let error = rows.get(&id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(rows.get(&"other".to_owned()).await.unwrap().is_some());

    let wrong = from_fn(|_: &String| async { Ok(Some(row("wrong", 1))) });
    let rows: CachedRepository<Row, _> = scene.service.repository(wrong);
    let error = rows.get(&id).await.unwrap_err().to_string();
    assert!(
        error.contains("wrong") && error.contains("FromFn"),
        "{error}"
    );
    assert_eq!(scene.service.expander().loads_in_flight(), 0);
}

#[tokio::test]
async fn it_is_a_repository_itself() {
    let scene = plain();
    let second = CacheService::new(InMemoryBackend::new());
    let rows = second.repository(scene.rows.clone());
    let id = "k".to_owned();
    assert_eq!(rows.get(&id).await.unwrap().unwrap().version, 1);
    assert_eq!(
        scene.rows.fetch_by_id(&id).await.unwrap(),
        Some(row("k", 1))
    );
    let many = scene.rows.fetch_by_ids(&[id, "none".to_owned()]).await;
    assert_eq!(many.unwrap(), [Some(row("k", 1)), None]);
    assert_eq!(scene.database.loads(), 2, "for the key that is not there");
}

/// A repository of two types.
struct Tables;

impl DataRepository<Row> for Tables {
    async fn fetch_by_id(&self, id: &String) -> cache_kit::Result<Option<Row>> {
        Ok(Some(row(id, 1)))
    }
}

impl DataRepository<cache_kit_tests::Ghost> for Tables {
    async fn fetch_by_id(&self, _: &String) -> cache_kit::Result<Option<cache_kit_tests::Ghost>> {
        Ok(None)
    }
}

struct App {
    rows: CachedRepository<Row>,
}

#[tokio::test]
async fn any_backend_serves_and_the_type_of_a_field_is_short() {
    let stores = [
        AnyBackend::from_url("memory://").unwrap(),
        AnyBackend::custom(MapStore::default(), Default::default()),
    ];
    for backend in stores {
        let cache = CacheService::new(backend);
        let ghosts = cache.repository_of::<cache_kit_tests::Ghost, _>(Tables);
        let app = App {
            rows: cache.repository(Tables),
        };
        let id = "k".to_owned();
        assert!(app.rows.get(&id).await.unwrap().is_some());
        assert!(ghosts.get(&id).await.unwrap().is_none());
        let read = app.rows.get(&id).strategy(Fresh).with_outcome().await;
        assert!(read.unwrap().1.is_hit());
    }
    let rows =
        CacheService::new(Encoded::over(MapStore::default())).repository_of::<Row, _>(Tables);
    let shown = format!("{rows:?} {:?}", rows.get(&"secret".to_owned()));
    assert!(shown.contains("Tables") && shown.contains("row"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn without_a_runtime_a_hit_is_a_hit_and_a_load_an_error() {
    let scene = plain();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    assert_eq!(runtime.block_on(scene.get()).0, Some(1));
    drop(runtime);
    let hit = cache_kit_tests::Step::new(scene.get()).poll();
    assert!(matches!(hit, std::task::Poll::Ready((Some(1), _))));
    let id = "other".to_owned();
    let mut miss = cache_kit_tests::Step::new(async { scene.rows.get(&id).await });
    let ended = (0..10).find_map(|_| match miss.poll() {
        std::task::Poll::Ready(ended) => Some(ended),
        std::task::Poll::Pending => None,
    });
    let error = ended.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}
