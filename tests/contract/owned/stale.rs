//! Entries that are answered while they are refreshed.

use std::time::Duration;

use cache_kit::CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::{CacheBackend, Encoded, InMemoryBackend};
use cache_kit::testing::ManualClock;
use cache_kit::{Error, Source};
use cache_kit_tests::calls::{call, spawn};
use cache_kit_tests::{Gated, Step};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{IF_ERROR, REVALIDATED, SECOND, Scene, TTL, with_grace};
use crate::byte_store::MapStore;

/// A scene whose row is stale, in version 2 by now, and whose loads stop at a gate.
async fn stale<B: CacheBackend>(backend: B) -> Scene<B> {
    let database = Gated::closed();
    database.set("k", 1);
    let scene = Scene::with(backend, with_grace(), database, ManualClock::new(), |e| e);
    scene.database.let_through(1);
    assert_eq!(scene.get().await.0, Some(1));
    scene.database.set("k", 2);
    scene.time.advance(TTL);
    scene
}

async fn is_refreshed_in_the_background<B: CacheBackend>(backend: B) {
    let scene = stale(backend).await;
    let (version, outcome) = scene.get().await;
    assert_eq!((version, outcome.source()), (Some(1), Source::Cache));
    assert!(outcome.is_stale() && outcome.is_refreshing(), "{outcome:?}");
    assert!(!outcome.is_refreshed_ahead() && !outcome.degraded().any());
    assert_eq!(outcome.age(), Some(TTL));
    scene.database.entered(2).await;
    for _ in 0..10 {
        let (version, outcome) = scene.get().await;
        assert_eq!(version, Some(1));
        assert!(outcome.is_stale() && outcome.is_refreshing(), "{outcome:?}");
    }
    scene.database.let_through(1);
    scene.settled().await;
    let (version, outcome) = scene.get().await;
    assert_eq!(version, Some(2));
    assert!(
        !outcome.is_stale() && !outcome.is_refreshing(),
        "{outcome:?}"
    );
    assert_eq!(scene.database.loads(), 2);
    assert_eq!(scene.heard.count("StaleServed"), 11);
    assert_eq!(scene.heard.count("Refreshing { ahead: false }"), 1);
    assert_eq!(
        scene.heard.count("hit row:k"),
        12,
        "each was answered by the cache"
    );
}

#[tokio::test]
async fn a_stale_entry_is_answered_at_once_and_refreshed_in_the_background() {
    is_refreshed_in_the_background(InMemoryBackend::new()).await;
    is_refreshed_in_the_background(Encoded::over(MapStore::default())).await;
}

#[tokio::test]
async fn with_a_borrowed_repository_one_caller_loads_and_the_others_go_on() {
    let scene = stale(InMemoryBackend::new()).await;
    let (service, database) = (&scene.service, &scene.database);
    let loads = spawn(service, database, "k", Refresh);
    database.entered(2).await;
    for _ in 0..10 {
        let (outcome, version) = call(service, database, "k", Refresh).await.unwrap();
        assert_eq!((outcome.source(), version), (Source::Cache, Some(1)));
        assert!(outcome.is_stale() && outcome.is_refreshing());
    }
    database.let_through(1);
    let (outcome, version) = loads.await.unwrap().unwrap();
    assert_eq!((outcome.source(), version), (Source::Repository, Some(2)));
    assert!(!outcome.is_stale());
    assert_eq!(
        call(service, database, "k", Fresh).await.unwrap().1,
        Some(2)
    );

    // One that goes away passes its turn on.
    scene.time.advance(TTL);
    let gone = spawn(service, database, "k", Refresh);
    database.entered(3).await;
    gone.abort();
    assert!(gone.await.is_err());
    let next = spawn(service, database, "k", Refresh);
    database.entered(4).await;
    database.let_through(1);
    let (outcome, _) = next.await.unwrap().unwrap();
    assert_eq!(outcome.source(), Source::Repository);
}

#[tokio::test]
async fn after_that_time_callers_wait_for_the_load() {
    let scene = stale(InMemoryBackend::new()).await;
    scene.time.advance(REVALIDATED);
    let mut waits = Step::new(scene.get());
    for _ in 0..5 {
        assert!(waits.poll().is_pending());
        tokio::task::yield_now().await;
    }
    scene.database.let_through(1);
    scene.settled().await;
    let std::task::Poll::Ready((version, outcome)) = waits.poll() else {
        panic!("the load has ended");
    };
    assert_eq!((version, outcome.source()), (Some(2), Source::Repository));
}

/// 1,000 tasks in two processes that share a store: no task waits, and one process loads.
async fn one_load_for_two_processes<B: CacheBackend>(backends: [B; 2]) {
    let database = Gated::closed();
    database.set("k", 1);
    let time = ManualClock::new();
    let scenes = backends.map(|backend| {
        let database = database.clone();
        Scene::with(backend, with_grace(), database, time.clone(), |e| e)
    });
    database.let_through(1);
    assert_eq!(scenes[0].get().await.0, Some(1));
    database.set("k", 2);
    time.advance(TTL);
    let mut callers = JoinSet::new();
    for n in 0..1_000 {
        let rows = scenes[n % 2].rows.clone();
        callers.spawn(async move { rows.get(&"k".to_owned()).with_outcome().await });
    }
    while let Some(caller) = callers.join_next().await {
        let (row, outcome) = caller.unwrap().unwrap();
        assert_eq!(row.unwrap().version, 1);
        assert!(outcome.is_stale() && outcome.is_refreshing());
    }
    database.entered(2).await;
    database.let_through(1);
    for scene in &scenes {
        scene.settled().await;
    }
    for scene in &scenes {
        let (version, outcome) = scene.get().await;
        assert_eq!((version, outcome.is_stale()), (Some(2), false));
    }
    assert_eq!(
        database.loads(),
        2,
        "one to fill the cache, one to refresh it"
    );
}

#[tokio::test]
async fn a_thousand_tasks_in_two_processes_make_one_load_and_none_waits() {
    let store = MapStore::default();
    one_load_for_two_processes([Encoded::over(store.clone()), Encoded::over(store)]).await;
}

#[tokio::test]
async fn a_process_that_comes_too_late_finds_the_entry_refreshed() {
    let store = MapStore::default();
    let database = Gated::open();
    database.set("k", 1);
    let time = ManualClock::new();
    let scene = || {
        let backend = Encoded::over(store.clone());
        Scene::with(backend, with_grace(), database.clone(), time.clone(), |e| e)
    };
    let (first, second) = (scene(), scene());
    assert_eq!(first.get().await.0, Some(1));
    time.advance(TTL);
    // Both have seen the stale entry; the second one's task runs when the first one's has ended.
    let stale = second.get().await;
    assert!(stale.1.is_refreshing());
    assert!(first.get().await.1.is_refreshing());
    first.settled().await;
    second.settled().await;
    assert_eq!(database.loads(), 2);
    assert!(!second.get().await.1.is_stale());
}

/// Whatever refreshes: what an invalidation has dropped is never answered again.
async fn an_invalidation_wins<B: CacheBackend>(backend: B) {
    let scene = stale(backend).await;
    assert!(scene.get().await.1.is_refreshing());
    // The refresh has read version 2, and cannot store it any more.
    scene.database.entered(2).await;
    scene.database.set("k", 3);
    let id = "k".to_owned();
    scene.rows.invalidate(&id).await.unwrap();
    let reader = {
        let rows = scene.rows.clone();
        tokio::spawn(async move { rows.get(&"k".to_owned()).with_outcome().await })
    };
    scene.database.entered(3).await;
    scene.database.let_through(2);
    let (row, outcome) = reader.await.unwrap().unwrap();
    assert_eq!((row.unwrap().version, outcome.is_stale()), (3, false));
    scene.settled().await;
    assert_eq!(scene.get().await.0, Some(3));
    assert_eq!(scene.heard.count("Fenced"), 1);
}

#[tokio::test]
async fn an_invalidation_beats_a_refresh() {
    an_invalidation_wins(InMemoryBackend::new()).await;
    an_invalidation_wins(Encoded::over(MapStore::default())).await;
}

#[tokio::test]
async fn an_entry_that_is_gone_is_not_refreshed() {
    let scene = stale(InMemoryBackend::new()).await;
    assert!(scene.get().await.1.is_refreshing());
    // Before its task has run.
    scene.rows.invalidate(&"k".to_owned()).await.unwrap();
    scene.settled().await;
    assert_eq!(scene.database.loads(), 1);
    scene.database.let_through(1);
    assert_eq!(scene.get().await.0, Some(2));
}

#[tokio::test]
async fn a_failed_refresh_is_tried_again_after_a_pause() {
    let scene = stale(InMemoryBackend::new()).await;
    scene.database.let_through(1_000);
    scene
        .database
        .fail(Some(Error::RepositoryError("down".into())));
    let (_, outcome) = scene.get().await;
    assert!(outcome.is_refreshing());
    scene.settled().await;
    assert_eq!(scene.heard.count("error row:k"), 1);
    for _ in 0..10 {
        let (version, outcome) = scene.get().await;
        assert_eq!(version, Some(1));
        assert!(outcome.is_stale() && !outcome.is_refreshing());
        assert!(outcome.degraded().repository, "the last try has failed");
    }
    assert_eq!(scene.database.loads(), 2);
    // 1 s, 2 s, 4 s: still answered while it is refreshed.
    for (pause, loads) in [(1, 3), (2, 4), (4, 5)] {
        scene
            .time
            .advance(SECOND * pause - Duration::from_millis(1));
        assert!(!scene.get().await.1.is_refreshing());
        scene.time.advance(Duration::from_millis(1));
        assert!(scene.get().await.1.is_refreshing());
        scene.settled().await;
        assert_eq!(scene.database.loads(), loads);
    }
    scene.database.fail(None);
    scene.time.advance(SECOND * 8);
    assert!(scene.get().await.1.is_refreshing());
    scene.settled().await;
    assert_eq!(scene.get().await.0, Some(2));
    scene.time.advance(TTL);
    assert!(
        scene.get().await.1.is_refreshing(),
        "the pauses are forgotten"
    );
}

#[tokio::test]
async fn fresh_takes_no_stale_entry_and_begins_no_refresh() {
    let scene = stale(InMemoryBackend::new()).await;
    let id = "k".to_owned();
    let read = scene.rows.get(&id).strategy(Fresh).with_outcome().await;
    let (row, outcome) = read.unwrap();
    assert!(row.is_none() && outcome.source() == Source::Nothing);
    assert_eq!(scene.service.expander().background_tasks(), 0);
    scene.database.let_through(2);
    for strategy in [Bypass, Invalidate] {
        let read = scene.rows.get(&id).strategy(strategy).with_outcome().await;
        assert_eq!(read.unwrap().1.source(), Source::Repository, "{strategy}");
    }
}

#[tokio::test]
async fn many_stale_keys_are_refreshed_by_one_query() {
    let database = Gated::open();
    let ids: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    for id in &ids {
        database.set(id, 1);
    }
    let scene = Scene::with(
        InMemoryBackend::new(),
        with_grace(),
        database,
        ManualClock::new(),
        |e| e,
    );
    assert_eq!(scene.rows.get_many(&ids).await.unwrap().len(), 100);
    for id in &ids {
        scene.database.set(id, 2);
    }
    scene.time.advance(TTL);
    // One is missing, so the call waits for that one alone.
    let mut asked = ids.clone();
    asked.push("new".to_owned());
    let read = scene.rows.get_many(&asked).with_outcome().await.unwrap();
    let stale = read.iter().filter(|(_, outcome)| outcome.is_refreshing());
    assert_eq!(stale.count(), 100);
    scene.settled().await;
    let queries = scene.database.queries();
    let lengths: Vec<usize> = queries.iter().map(Vec::len).collect();
    assert_eq!(lengths.len(), 3, "{lengths:?}");
    assert!(
        lengths[1..] == [1, 100] || lengths[1..] == [100, 1],
        "{lengths:?}"
    );
    let read = scene.rows.get_many(&ids).await.unwrap();
    assert!(read.iter().all(|row| row.as_ref().unwrap().version == 2));
}

#[tokio::test]
async fn a_borrowed_batch_loads_its_stale_keys_unless_another_call_does() {
    let scene = stale(InMemoryBackend::new()).await;
    scene.database.set("other", 1);
    let loads = spawn(&scene.service, &scene.database, "k", Refresh);
    scene.database.entered(2).await;
    scene.database.let_through(1);
    let mut feeders = ["k", "other"]
        .map(|id| cache_kit::SharedFeeder::<cache_kit_tests::Row>::new(id.to_owned()));
    // The gate lets one through; which of the two queries is first does not matter.
    scene.database.let_through(1);
    let outcomes = scene
        .service
        .execute_many(&mut feeders, &scene.database, Refresh)
        .await
        .unwrap();
    assert_eq!(outcomes[0].source(), Source::Cache);
    assert_eq!(outcomes[1].source(), Source::Repository);
    assert!(loads.await.unwrap().is_ok());

    scene.time.advance(TTL);
    scene.database.let_through(1);
    let outcomes = scene
        .service
        .execute_many(&mut feeders, &scene.database, Refresh)
        .await
        .unwrap();
    let sources = outcomes.map_sources();
    assert_eq!(sources, [Source::Repository; 2]);
    assert_eq!(scene.database.queries().last().unwrap().len(), 2);
}

trait MapSources {
    fn map_sources(&self) -> Vec<Source>;
}

impl MapSources for Vec<cache_kit::Outcome> {
    fn map_sources(&self) -> Vec<Source> {
        self.iter().map(cache_kit::Outcome::source).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_a_stale_entry_waits_no_longer_than_it_wants_to() {
    let policy = with_grace().with_answer_within(Duration::from_millis(50));
    let database = Gated::closed();
    database.set("k", 1);
    let backend = InMemoryBackend::new();
    let scene = Scene::with(backend, policy, database, ManualClock::new(), |e| e);
    scene.database.let_through(1);
    assert_eq!(
        scene.get().await.0,
        Some(1),
        "there is nothing stale to take"
    );
    scene.database.set("k", 2);
    scene.time.advance(TTL + REVALIDATED);

    let begun = tokio::time::Instant::now();
    let (version, outcome) = scene.get().await;
    assert_eq!(begun.elapsed(), Duration::from_millis(50));
    assert_eq!((version, outcome.source()), (Some(1), Source::Cache));
    assert!(outcome.is_stale() && outcome.is_refreshing() && !outcome.degraded().any());
    assert_eq!(scene.database.loads(), 2);
    // Another caller follows the same load, as long as it wants to; a third one sees it end.
    assert_eq!(scene.get().await.0, Some(1));
    let third = {
        let rows = scene.rows.clone();
        tokio::spawn(async move { rows.get(&"k".to_owned()).await })
    };
    tokio::task::yield_now().await;
    scene.database.let_through(1);
    assert_eq!(third.await.unwrap().unwrap().unwrap().version, 2);
    assert_eq!((scene.database.loads(), scene.database.dropped()), (2, 0));

    // What has been invalidated meanwhile is not taken.
    scene.time.advance(TTL + REVALIDATED);
    let late = {
        let rows = scene.rows.clone();
        tokio::spawn(async move { rows.get(&"k".to_owned()).with_outcome().await })
    };
    scene.database.entered(3).await;
    scene.database.set("k", 3);
    scene.rows.invalidate(&"k".to_owned()).await.unwrap();
    tokio::time::sleep(SECOND).await;
    assert!(!late.is_finished(), "it waits for its load");
    scene.database.let_through(1);
    let (row, outcome) = late.await.unwrap().unwrap();
    assert_eq!(
        (row.unwrap().version, outcome.source()),
        (2, Source::Repository)
    );
    assert!(scene.rows.try_get(&"k".to_owned()).is_none());
}

#[tokio::test(start_paused = true)]
async fn with_a_borrowed_repository_that_patience_changes_nothing() {
    let policy = with_grace().with_answer_within(Duration::from_millis(50));
    let scene = Scene::over(InMemoryBackend::new(), policy);
    assert_eq!(scene.get().await.0, Some(1));
    scene.time.advance(TTL + REVALIDATED);
    let closed = Gated::closed();
    closed.set("k", 2);
    let waits = call(&scene.service, &closed, "k", Refresh);
    let late = timeout(SECOND * 7, waits).await;
    assert!(
        late.is_err(),
        "the load would end with its caller, so it waits"
    );
}

#[tokio::test]
async fn in_place_of_an_error_stands_what_is_past_both_times() {
    let scene = stale(InMemoryBackend::new()).await;
    scene.database.let_through(1_000);
    scene
        .database
        .fail(Some(Error::RepositoryError("down".into())));
    scene.time.advance(REVALIDATED + IF_ERROR - SECOND);
    let (version, outcome) = scene.get().await;
    assert_eq!(version, Some(1));
    assert!(outcome.is_stale() && outcome.degraded().repository);
    scene.time.advance(SECOND);
    assert!(scene.rows.get(&"k".to_owned()).await.is_err());
}
