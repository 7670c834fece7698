//! The database is away for a minute.

use std::collections::HashMap;
use std::time::Duration;

use cache_kit::backend::{CacheBackend, Encoded, InMemoryBackend};
use cache_kit::testing::ManualClock;
use cache_kit::{Error, FreshnessPolicy};
use cache_kit_tests::Gated;

use super::{Scene, with_grace};
use crate::byte_store::MapStore;

const KEYS: usize = 20;

/// Reads every key every 100 ms while the database is away for a minute, from when the entries turn
/// stale.
async fn away_for_a_minute<B: CacheBackend>(backend: B, policy: FreshnessPolicy, hangs: bool) {
    let database = Gated::open();
    let ids: Vec<String> = (0..KEYS).map(|n| n.to_string()).collect();
    for id in &ids {
        database.set(id, 1);
    }
    let scene = Scene::with(backend, policy, database, ManualClock::new(), |e| e);
    scene.rows.get_many(&ids).await.unwrap();
    let before = scene.database.queries().len();

    let down = Error::RepositoryError("away".into());
    scene.database.fail((!hangs).then_some(down));
    let away = Gated::closed();
    let rows = match hangs {
        true => scene.service.repository(away.clone()),
        false => scene.rows.clone(),
    };
    scene.time.advance(super::TTL);
    for _ in 0..600 {
        let step = Duration::from_millis(100);
        scene.time.advance(step);
        tokio::time::advance(step).await;
        for id in &ids {
            let (row, outcome) = rows.get(id).with_outcome().await.unwrap();
            assert!(row.is_some() && outcome.is_stale(), "{outcome:?}");
        }
        if !hangs {
            scene.settled().await;
        }
    }
    let queries = match hangs {
        true => away.queries(),
        false => scene.database.queries().split_off(before),
    };
    let mut tries: HashMap<String, usize> = HashMap::new();
    for id in queries.into_iter().flatten() {
        *tries.entry(id).or_default() += 1;
    }
    // At 0, 1, 3, 7, 15, 31 s and so on; a load that hangs takes its deadline, too.
    assert_eq!(tries.len(), KEYS);
    for (id, tries) in tries {
        assert!((3..=7).contains(&tries), "{tries} tries of {id}");
    }

    scene.database.fail(None);
    for id in &ids {
        scene.database.set(id, 2);
    }
    let back = Duration::from_secs(40);
    scene.time.advance(back);
    tokio::time::advance(back).await;
    scene.settled().await;
    for id in &ids {
        scene.rows.get(id).await.unwrap();
    }
    scene.settled().await;
    for id in &ids {
        assert_eq!(scene.get_of(id).await.0, Some(2));
    }
}

#[tokio::test(start_paused = true)]
async fn no_cached_key_fails_and_each_is_tried_once_in_a_pause() {
    for coarse in [false, true] {
        let minutes = Duration::from_secs(600);
        let policy = match coarse {
            // All of the outage in one kind of grace, and then in the other.
            true => FreshnessPolicy::default().with_stale_while_revalidate(minutes),
            false => with_grace(),
        };
        away_for_a_minute(InMemoryBackend::new(), policy, false).await;
        away_for_a_minute(Encoded::over(MapStore::default()), policy, false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_database_that_hangs_holds_nobody_up_who_has_an_entry() {
    let minutes = Duration::from_secs(600);
    let policy = FreshnessPolicy::default().with_stale_while_revalidate(minutes);
    away_for_a_minute(InMemoryBackend::new(), policy, true).await;
}
