//! Loads that go on without their callers, and how they end.

use std::sync::Arc;
use std::time::Duration;

use cache_kit::backend::InMemoryBackend;
use cache_kit::testing::ManualClock;
use cache_kit::{CacheService, CacheStrategy, ErrorKind, FreshnessPolicy, Source};
use cache_kit_tests::{Gated, Step};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{SECOND, Scene, TTL, with_grace};

fn gated(tasks: usize) -> Scene {
    let database = Gated::closed();
    database.set("k", 1);
    Scene::with(
        InMemoryBackend::new(),
        with_grace(),
        database,
        ManualClock::new(),
        |expander| expander.with_background_tasks(tasks),
    )
}

#[tokio::test(start_paused = true)]
async fn callers_that_give_up_do_not_stop_a_load() {
    let scene = gated(1_024);
    let mut callers = JoinSet::new();
    for _ in 0..200 {
        let rows = scene.rows.clone();
        callers.spawn(async move {
            let patience = Duration::from_millis(50);
            timeout(patience, rows.get(&"k".to_owned())).await
        });
    }
    while let Some(caller) = callers.join_next().await {
        assert!(caller.unwrap().is_err(), "it gave up");
    }
    assert_eq!(scene.database.loads(), 1);
    tokio::time::advance(Duration::from_millis(10)).await;
    scene.database.let_through(1);
    scene.settled().await;
    let (version, outcome) = scene.get().await;
    assert_eq!((version, outcome.source()), (Some(1), Source::Cache));
    assert_eq!((scene.database.loads(), scene.database.dropped()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_goes_on_without_its_caller() {
    let scene = gated(1_024);
    scene.database.let_through(1);
    assert_eq!(scene.get().await.0, Some(1));
    scene.database.set("k", 2);
    let id = "k".to_owned();
    let read = scene.rows.get(&id).strategy(CacheStrategy::Invalidate);
    assert!(timeout(SECOND, read).await.is_err());
    assert!(scene.rows.try_get(&id).is_none(), "it is invalidated");
    scene.database.let_through(1);
    scene.settled().await;
    assert_eq!(scene.rows.try_get(&id).unwrap().version, 2);
}

/// A caller that is dropped at any of its polls leaves nothing behind.
#[test]
fn a_caller_may_be_dropped_at_every_poll() {
    for strategy in [
        CacheStrategy::Refresh,
        CacheStrategy::Bypass,
        CacheStrategy::Invalidate,
    ] {
        for polls in 0..8 {
            let runtime = Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(async {
                let scene = gated(1_024);
                let id = "k".to_owned();
                let read = scene.rows.get(&id).strategy(strategy);
                let mut dropped = Step::new(read);
                for _ in 0..polls {
                    assert!(dropped.poll().is_pending());
                    tokio::task::yield_now().await;
                }
                drop(dropped);
                scene.database.let_through(2);
                let (version, _) = timeout(SECOND, scene.get()).await.unwrap();
                assert_eq!(version, Some(1), "{strategy} after {polls}");
                scene.settled().await;
                assert!(scene.rows.try_get(&id).is_some());
                assert!(scene.database.loads() <= 2);
                assert_eq!(scene.service.expander().loads_in_flight(), 0);
            });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn beyond_the_bound_callers_load_for_themselves_and_refreshes_are_left_out() {
    let scene = gated(1);
    scene.database.set("other", 1);
    let kept = {
        let rows = scene.rows.clone();
        tokio::spawn(async move { rows.get(&"k".to_owned()).await })
    };
    scene.database.entered(1).await;
    assert_eq!(scene.service.expander().background_tasks(), 1);

    let id = "other".to_owned();
    let mut alone = Step::new(scene.rows.get(&id));
    for _ in 0..4 {
        assert!(alone.poll().is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.database.loads(), 2);
    drop(alone);
    assert_eq!(scene.database.dropped(), 1, "it ends with its caller");

    scene.database.let_through(1);
    assert!(kept.await.unwrap().unwrap().is_some());
    scene.time.advance(TTL);
    let blocks = {
        let rows = scene.rows.clone();
        tokio::spawn(async move { rows.get(&"third".to_owned()).await })
    };
    scene.database.entered(3).await;
    let (version, outcome) = scene.get().await;
    assert_eq!(version, Some(1));
    assert!(
        outcome.is_stale() && !outcome.is_refreshing(),
        "{outcome:?}"
    );
    assert_eq!(scene.heard.count("RefreshSkipped"), 1);
    scene.database.let_through(1);
    assert!(blocks.await.unwrap().unwrap().is_none());
    scene.settled().await;
    scene.database.let_through(1);
    assert!(scene.get().await.1.is_refreshing());
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_what_runs_and_lets_nothing_begin() {
    let scene = gated(1_024);
    let id = "k".to_owned();
    let mut gone = Step::new(scene.rows.get(&id));
    assert!(gone.poll().is_pending());
    drop(gone);
    let draining = {
        let service = scene.service.clone();
        tokio::spawn(async move { service.drain(SECOND * 5).await })
    };
    scene.database.entered(1).await;
    assert!(!draining.is_finished());
    scene.database.let_through(1);
    draining.await.unwrap().unwrap();
    assert_eq!(scene.rows.try_get(&id).unwrap().version, 1);

    // Reads go on. A load is one of its caller, a refresh does not begin.
    scene.time.advance(TTL);
    let (_, outcome) = scene.get().await;
    assert!(outcome.is_stale() && !outcome.is_refreshing());
    scene.database.let_through(1);
    assert_eq!(scene.get_of("other").await.0, None);
    assert_eq!(scene.service.expander().background_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_in_time_is_given_up() {
    let scene = gated(1_024);
    let reader = {
        let rows = scene.rows.clone();
        tokio::spawn(async move { rows.get(&"k".to_owned()).await })
    };
    scene.database.entered(1).await;
    let late = scene.rows.drain(SECOND).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout);
    // Its caller looks after itself.
    scene.database.entered(2).await;
    scene.database.let_through(2);
    assert!(reader.await.unwrap().unwrap().is_some());
    assert_eq!(scene.database.dropped(), 1);
    assert_eq!(scene.service.expander().loads_in_flight(), 0);
}

/// The runtime that loads ends; callers on another one go on.
#[test]
fn a_runtime_that_ends_leaves_nothing_hanging() {
    for workers in [None, Some(2)] {
        let database = Gated::closed();
        database.set("k", 1);
        let cache = CacheService::new(InMemoryBackend::new());
        let rows = cache.repository(database.clone());
        let mut builder = match workers {
            Some(workers) => {
                let mut builder = Builder::new_multi_thread();
                builder.worker_threads(workers);
                builder
            }
            None => Builder::new_current_thread(),
        };
        let ends = builder.enable_time().build().unwrap();
        let stays = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        let reader = rows.clone();
        let loading = ends.spawn(async move { reader.get(&"k".to_owned()).await });
        ends.block_on(database.entered(1));
        let reader = rows.clone();
        let follows = stays.spawn(async move { reader.get(&"k".to_owned()).await });
        drop(ends);
        assert!(stays.block_on(loading).is_err(), "it went with its runtime");
        stays.block_on(database.entered(2));
        database.let_through(1);
        let answer = stays.block_on(follows).unwrap().unwrap();
        assert_eq!(answer.unwrap().version, 1);
        assert_eq!(database.dropped(), 1);
        assert_eq!(cache.expander().background_tasks(), 0);
        assert_eq!(cache.expander().loads_in_flight(), 0);
    }
}

/// A caller whose load was handed to a runtime that ended meanwhile loads for itself.
#[test]
fn a_caller_that_outlives_its_load_loads_for_itself() {
    let database = Gated::closed();
    database.set("k", 1);
    let cache = CacheService::new(InMemoryBackend::new());
    let rows = Arc::new(cache.repository(database.clone()));
    let build = || Builder::new_current_thread().enable_time().build().unwrap();
    let (first, second) = (build(), build());
    let id = "k".to_owned();
    let mut read = Step::new(rows.get(&id));
    {
        let _inside = first.enter();
        assert!(read.poll().is_pending());
    }
    first.block_on(database.entered(1));
    drop(first);
    let _inside = second.enter();
    for _ in 0..4 {
        assert!(read.poll().is_pending());
    }
    assert_eq!(database.loads(), 2);
    database.let_through(1);
    let ended = (0..8).find_map(|_| match read.poll() {
        std::task::Poll::Ready(ended) => Some(ended),
        std::task::Poll::Pending => None,
    });
    assert_eq!(ended.unwrap().unwrap().unwrap().version, 1);
    assert_eq!(cache.expander().loads_in_flight(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_callers_of_one_key_make_one_load() {
    for _ in 0..20 {
        let scene = Scene::new(FreshnessPolicy::default());
        let mut callers = JoinSet::new();
        for _ in 0..1_000 {
            let rows = scene.rows.clone();
            callers.spawn(async move { rows.get(&"k".to_owned()).await });
        }
        while let Some(caller) = callers.join_next().await {
            assert_eq!(caller.unwrap().unwrap().unwrap().version, 1);
        }
        assert_eq!(scene.database.loads(), 1);
    }
}
