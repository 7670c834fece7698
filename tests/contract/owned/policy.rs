//! Whose settings count, and when.

use std::time::Duration;

use cache_kit::CacheStrategy::{self, Fresh, Refresh};
use cache_kit::backend::InMemoryBackend;
use cache_kit::observability::TtlPolicy;
use cache_kit::testing::ManualClock;
use cache_kit::{CacheExpander, CacheService, Error, FreshnessPolicy, OperationConfig, Source};
use cache_kit_tests::Gated;
use cache_kit_tests::calls::call;

use super::{IF_ERROR, SECOND, Scene, TTL};

/// What a deploy changes, it changes for entries that are there already.
#[tokio::test]
async fn freshness_is_decided_by_the_reader() {
    let store = InMemoryBackend::new();
    let (database, time) = (Gated::open(), ManualClock::new());
    database.set("k", 1);
    let service = |ttl: Duration, policy: FreshnessPolicy| {
        let expander = CacheExpander::new(store.clone())
            .with_clock(time.clock())
            .with_ttl_policy(TtlPolicy::Fixed(ttl))
            .with_freshness(policy);
        CacheService::from(expander)
    };
    let none = FreshnessPolicy::default();
    let old = service(TTL, none.with_stale_if_error(IF_ERROR));
    let sees = async |service: &CacheService<InMemoryBackend>, strategy: CacheStrategy| {
        let (outcome, version) = call(service, &database, "k", strategy).await.unwrap();
        (outcome.source(), version)
    };
    assert_eq!(sees(&old, Refresh).await, (Source::Repository, Some(1)));
    database.set("k", 2);
    time.advance(SECOND * 20);
    assert_eq!(sees(&old, Fresh).await, (Source::Cache, Some(1)));
    let shorter = service(SECOND * 10, none);
    assert_eq!(sees(&shorter, Fresh).await, (Source::Nothing, None));
    let longer = service(TTL * 10, none);
    time.advance(TTL);
    assert_eq!(
        sees(&longer, Fresh).await,
        (Source::Nothing, None),
        "it was stored for a minute"
    );

    // The old deploy still has a stand-in, the new one does not want one.
    database.fail(Some(Error::RepositoryError("down".into())));
    assert_eq!(sees(&old, Refresh).await, (Source::Cache, Some(1)));
    assert!(call(&shorter, &database, "k", Refresh).await.is_err());
    // And one that revalidates finds in the entry's time what it may answer.
    database.fail(None);
    let revalidates = service(TTL, none.with_stale_while_revalidate(TTL));
    let rows = revalidates.repository(database.clone());
    let (row, outcome) = rows.get(&"k".to_owned()).with_outcome().await.unwrap();
    assert_eq!(row.unwrap().version, 1);
    assert!(outcome.is_stale() && outcome.is_refreshing());
}

#[tokio::test]
async fn a_time_to_live_of_a_call_belongs_to_the_entry() {
    let scene = Scene::new(FreshnessPolicy::default());
    let id = "k".to_owned();
    let hour = SECOND * 3_600;
    assert!(scene.rows.get(&id).ttl(hour).await.unwrap().is_some());
    scene.time.advance(hour - SECOND);
    assert_eq!(scene.get().await.1.source(), Source::Cache);
    scene.time.advance(SECOND);
    assert_eq!(scene.get().await.1.source(), Source::Repository);

    let remembers = FreshnessPolicy::default().with_negative_ttl(TTL);
    let id = "none".to_owned();
    assert!(
        scene
            .rows
            .get(&id)
            .freshness(remembers)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(scene.get_of("none").await.1.source(), Source::Cache);
    let config = OperationConfig::default().with_freshness(remembers);
    let rows = scene.rows.clone().with_config(config);
    scene.time.advance(TTL);
    assert!(rows.get(&id).await.unwrap().is_none());
    assert_eq!(scene.database.loads(), 4);
}

#[tokio::test]
async fn entries_that_were_stored_together_do_not_expire_together() {
    let scene = Scene::new(FreshnessPolicy::default().with_jitter(0.5));
    let ids: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    for id in &ids {
        scene.database.set(id, 1);
    }
    scene.rows.get_many(&ids).await.unwrap();
    let fresh = || {
        ids.iter()
            .filter(|id| scene.rows.try_get(id).is_some())
            .count()
    };
    scene.time.advance(TTL / 2);
    assert_eq!(fresh(), 1_000);
    scene.time.advance(TTL / 4);
    let half = fresh();
    assert!((400..600).contains(&half), "{half}");
    scene.time.advance(TTL / 4);
    assert_eq!(fresh(), 0);
}
