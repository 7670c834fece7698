//! Entries that are refreshed before their time to live ends.

use std::time::Duration;

use cache_kit::backend::{Encoded, InMemoryBackend};
use cache_kit::testing::ManualClock;
use cache_kit::{CacheStrategy, FreshnessPolicy, Source};
use cache_kit_tests::Gated;
use cache_kit_tests::calls::call;

use super::{SECOND, Scene, TTL};
use crate::byte_store::MapStore;

/// Ten minutes of a key that is read every 10 ms, by the clock of the service; each load takes 200 ms.
/// Returns how many readers had to wait, and how many loads there were.
async fn read_for_ten_minutes(policy: FreshnessPolicy, seed: u64) -> (usize, usize) {
    fastrand::seed(seed);
    let database = Gated::closed();
    database.set("k", 1);
    let backend = InMemoryBackend::new();
    let scene = Scene::with(backend, policy, database, ManualClock::new(), |e| e);
    let id = "k".to_owned();
    let (mut waits, mut ended, mut load_for) = (0, 0, 0);
    for _ in 0..60_000 {
        // Who has no fresh entry at this moment would wait.
        waits += usize::from(scene.rows.try_get(&id).is_none());
        let rows = scene.rows.clone();
        let reader = tokio::spawn(async move { rows.get(&"k".to_owned()).await });
        while !reader.is_finished() && scene.database.loads() == ended {
            tokio::task::yield_now().await;
        }
        if scene.service.expander().background_tasks() > 0 {
            scene.database.entered(ended + 1).await;
            load_for += 1;
        }
        scene.time.advance(Duration::from_millis(10));
        if load_for == 20 {
            scene.database.let_through(1);
            scene.settled().await;
            (ended, load_for) = (ended + 1, 0);
        }
    }
    (waits, scene.database.loads())
}

#[tokio::test]
async fn no_caller_of_a_hot_key_waits() {
    let none = FreshnessPolicy::default();
    let (waits, loads) = read_for_ten_minutes(none, 1).await;
    assert_eq!(
        (waits, loads),
        (20 * 10, 10),
        "each minute, and then for 200 ms"
    );
    for seed in 1..=5 {
        let ahead = none.with_refresh_ahead(1.0);
        let (waits, loads) = read_for_ten_minutes(ahead, seed).await;
        assert_eq!(waits, 20, "with seed {seed}: only those of the first load");
        assert!((10..=12).contains(&loads), "{loads} loads");
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
