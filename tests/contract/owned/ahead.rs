//! Entries that are refreshed before their time to live ends.

use std::time::Duration;

use cache_kit::backend::{Encoded, InMemoryBackend};
use cache_kit::testing::ManualClock;
use cache_kit::{CacheStrategy, FreshnessPolicy, Source};
use cache_kit_tests::Gated;
use cache_kit_tests::calls::call;

use super::{SECOND, Scene, TTL};
use crate::byte_store::MapStore;

/// An hour of a key that is read every 10 ms by the clock of the service. Each load takes 200 ms by
/// that clock. Returns how many readers had to wait.
async fn waits_in_an_hour(policy: FreshnessPolicy, seed: u64) -> (usize, usize) {
    const STEP: Duration = Duration::from_millis(10);
    fastrand::seed(seed);
    let database = Gated::closed();
    database.set("k", 1);
    database.let_through(1);
    let backend = InMemoryBackend::new();
    let scene = Scene::with(backend, policy, database, ManualClock::new(), |e| e);
    scene.get().await;
    let (mut waits, mut loaded, mut loads_for) = (0, scene.database.loads(), 0);
    for _ in 0..360_000 {
        scene.time.advance(STEP);
        if scene.database.loads() > loaded {
            loads_for += 1;
            if loads_for == 20 {
                (loaded, loads_for) = (scene.database.loads(), 0);
                scene.database.let_through(1);
                scene.settled().await;
            }
        }
        let id = "k".to_owned();
        let hit = scene.rows.get(&id).strategy(CacheStrategy::Fresh);
        if hit.await.unwrap().is_none() {
            // Its caller would wait. The load is one of this loop.
            waits += 1;
            scene.database.let_through(1);
        }
        scene.get().await;
        // The refresh goes as far as the gate.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }
    (waits, scene.database.loads())
}

#[tokio::test(start_paused = true)]
async fn no_caller_of_a_hot_key_waits() {
    let none = FreshnessPolicy::default();
    let (waits, loads) = waits_in_an_hour(none, 1).await;
    assert!(
        waits >= 59 && loads >= 60,
        "without it there are {waits} in {loads} loads"
    );
    for seed in 1..=3 {
        // The stored load time is measured by a clock that a test does not set: 10 ms at least, so a
        // load that takes 200 ms needs a factor of 20.
        let (waits, loads) = waits_in_an_hour(none.with_refresh_ahead(60.0), seed).await;
        assert_eq!(waits, 0, "with seed {seed}");
        assert!((60..90).contains(&loads), "{loads} loads");
    }
}

#[tokio::test]
async fn it_is_told_and_the_entry_stays_fresh() {
    let scene = Scene::new(FreshnessPolicy::default().with_refresh_ahead(1e9));
    assert_eq!(scene.get().await.0, Some(1));
    scene.database.set("k", 2);
    scene.time.advance(TTL / 2);
    let (version, outcome) = scene.get().await;
    assert_eq!((version, outcome.source()), (Some(1), Source::Cache));
    assert!(!outcome.is_stale() && outcome.is_refreshing() && outcome.is_refreshed_ahead());
    scene.settled().await;
    assert_eq!(scene.get().await.0, Some(2));
    assert!(scene.heard.count("Refreshing { ahead: true }") >= 1);
    assert_eq!(scene.heard.count("StaleServed"), 0);
}

#[tokio::test]
async fn a_remote_store_is_refreshed_ahead_too() {
    let policy = FreshnessPolicy::default().with_refresh_ahead(1e9);
    let scene = Scene::over(Encoded::over(MapStore::default()), policy);
    assert_eq!(scene.get().await.0, Some(1));
    scene.database.set("k", 2);
    scene.time.advance(SECOND);
    let (version, outcome) = scene.get().await;
    assert_eq!(version, Some(1));
    assert!(outcome.is_refreshed_ahead());
    scene.settled().await;
    assert_eq!(scene.get().await.0, Some(2));
}

#[tokio::test]
async fn with_a_borrowed_repository_the_caller_whose_turn_it_is_loads() {
    let scene = Scene::new(FreshnessPolicy::default().with_refresh_ahead(1e9));
    let (service, database) = (&scene.service, &scene.database);
    let refresh = CacheStrategy::Refresh;
    assert!(call(service, database, "k", refresh).await.is_ok());
    database.set("k", 2);
    scene.time.advance(SECOND);
    let (outcome, version) = call(service, database, "k", refresh).await.unwrap();
    assert_eq!((outcome.source(), version), (Source::Repository, Some(2)));
    assert!(outcome.is_refreshed_ahead() && !outcome.is_refreshing());
    // A load that fails leaves the entry, and is not tried again before a pause.
    database.fail(Some(cache_kit::Error::RepositoryError("down".into())));
    scene.time.advance(SECOND);
    let before = database.loads();
    for _ in 0..10 {
        let (outcome, version) = call(service, database, "k", refresh).await.unwrap();
        assert_eq!((outcome.source(), version), (Source::Cache, Some(2)));
        assert!(!outcome.is_stale());
    }
    assert_eq!(database.loads(), before + 1);
}
