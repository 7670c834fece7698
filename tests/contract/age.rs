//! From when an entry's age counts, and how often a failing database is asked while there is a
//! stale entry.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_kit::CacheStrategy::{self, Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::InMemoryBackend;
use cache_kit::observability::{CacheEvent, CacheMetrics};
use cache_kit::testing::ManualClock;
use cache_kit::{
    CacheEntity, CacheExpander, CacheService, DataRepository, Error, OperationConfig, Outcome,
    Result, SharedFeeder, Source,
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

const SECOND: Duration = Duration::from_secs(1);
const TTL: Duration = Duration::from_secs(60);

#[derive(Clone, Serialize, Deserialize)]
struct Quote {
    id: u32,
}

impl CacheEntity for Quote {
    type Key = u32;

    fn cache_key(&self) -> u32 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "quote"
    }

    fn cache_ttl() -> Option<Duration> {
        Some(TTL)
    }

    fn cache_stale_if_error() -> Option<Duration> {
        Some(Duration::from_secs(3_600))
    }
}

/// The behaviour of the next loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Answer,
    Fail,
    Hang,
}

/// A database whose loads take some of the clock's time.
struct Database {
    time: ManualClock,
    takes: Duration,
    /// How many loads fail first.
    failures: AtomicUsize,
    does: watch::Sender<Does>,
    loads: AtomicUsize,
}

impl DataRepository<Quote> for Database {
    async fn fetch_by_id(&self, id: &u32) -> Result<Option<Quote>> {
        self.loads.fetch_add(1, Ordering::AcqRel);
        self.time.advance(self.takes);
        let fails = |left: usize| left.checked_sub(1);
        let failed = self
            .failures
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fails);
        let does = *self.does.borrow();
        match does {
            Does::Hang => std::future::pending().await,
            Does::Fail => Err(Error::RepositoryError("down".into())),
            Does::Answer if failed.is_ok() => Err(Error::RepositoryError("down".into())),
            Does::Answer => Ok(Some(Quote { id: *id })),
        }
    }
}

struct Scene {
    time: ManualClock,
    service: CacheService<InMemoryBackend>,
    database: Database,
}

impl Scene {
    fn new(takes: Duration) -> Self {
        let time = ManualClock::new();
        let expander = CacheExpander::new(InMemoryBackend::new()).with_clock(time.clock());
        Self {
            service: expander.into(),
            database: Database {
                time: time.clone(),
                takes,
                failures: AtomicUsize::new(0),
                does: watch::Sender::new(Does::Answer),
                loads: AtomicUsize::new(0),
            },
            time,
        }
    }

    fn loads(&self) -> usize {
        self.database.loads.swap(0, Ordering::AcqRel)
    }

    fn does(&self, does: Does) {
        self.database.does.send_replace(does);
    }

    async fn call(&self, strategy: CacheStrategy) -> Result<Outcome> {
        self.configured(strategy, OperationConfig::default()).await
    }

    async fn configured(
        &self,
        strategy: CacheStrategy,
        config: OperationConfig,
    ) -> Result<Outcome> {
        let mut feeder = SharedFeeder::<Quote>::new(1);
        self.service
            .execute_with_config(&mut feeder, &self.database, strategy, config)
            .await
    }

    async fn batch(&self) -> Result<Outcome> {
        let mut feeders = [1, 2].map(SharedFeeder::<Quote>::new);
        let outcomes = self
            .service
            .execute_many(&mut feeders[..1], &self.database, Refresh)
            .await?;
        Ok(outcomes[0])
    }
}

#[tokio::test]
async fn an_entry_is_as_old_as_the_try_that_brought_it() {
    let scene = Scene::new(7 * SECOND);
    for strategy in [Refresh, Invalidate, Bypass] {
        let outcome = scene.call(strategy).await.unwrap();
        assert_eq!(outcome.source(), Source::Repository);
        assert_eq!(outcome.age(), Some(7 * SECOND), "{strategy}");
    }
    let scene = Scene::new(7 * SECOND);
    assert_eq!(scene.batch().await.unwrap().age(), Some(7 * SECOND));
    scene.time.advance(3 * SECOND);
    let outcome = scene.call(Refresh).await.unwrap();
    assert!(outcome.is_hit());
    assert_eq!(outcome.age(), Some(10 * SECOND));
}

#[tokio::test]
async fn the_time_to_live_counts_from_where_the_try_began() {
    let scene = Scene::new(7 * SECOND);
    scene.call(Refresh).await.unwrap();
    scene
        .time
        .advance(TTL - 7 * SECOND - Duration::from_millis(1));
    assert!(scene.call(Fresh).await.unwrap().is_hit());
    scene.time.advance(Duration::from_millis(1));
    assert_eq!(scene.call(Fresh).await.unwrap().source(), Source::Nothing);
}

#[tokio::test(start_paused = true)]
async fn tries_that_failed_make_an_entry_no_older() {
    let scene = Scene::new(7 * SECOND);
    scene.database.failures.store(2, Ordering::Release);
    let config = OperationConfig::default().with_retry(2);
    let outcome = scene.configured(Refresh, config).await.unwrap();
    assert_eq!(scene.loads(), 3);
    assert_eq!(outcome.age(), Some(7 * SECOND));
}

async fn stale(does: Does) -> Scene {
    let scene = Scene::new(Duration::ZERO);
    scene.call(Refresh).await.unwrap();
    scene.time.advance(2 * TTL);
    scene.does(does);
    assert_eq!(scene.loads(), 1);
    scene
}

fn stands_in(outcome: &Outcome) -> bool {
    outcome.is_hit() && outcome.is_stale() && outcome.degraded().repository
}

#[tokio::test(start_paused = true)]
async fn a_database_that_hangs_is_waited_for_once_in_each_pause() {
    let scene = stale(Does::Hang).await;
    // Pauses of 1, 2, 4, 8, 16, 30, 30 seconds.
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        let begun = tokio::time::Instant::now();
        assert!(stands_in(&scene.call(Refresh).await.unwrap()));
        assert_eq!(begun.elapsed(), Duration::from_secs(8), "the load deadline");
        let begun = tokio::time::Instant::now();
        for _ in 0..100 {
            assert!(stands_in(&scene.call(Refresh).await.unwrap()));
            assert!(stands_in(&scene.batch().await.unwrap()));
        }
        scene
            .time
            .advance(pause * SECOND - Duration::from_millis(1));
        assert!(stands_in(&scene.call(Refresh).await.unwrap()));
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(scene.loads(), 1);
        scene.time.advance(Duration::from_millis(1));
    }
    scene.does(Does::Answer);
    let outcome = scene.call(Refresh).await.unwrap();
    assert_eq!(outcome.source(), Source::Repository);
    // The next failure starts with the first pause again.
    scene.time.advance(2 * TTL);
    scene.does(Does::Fail);
    assert!(stands_in(&scene.call(Refresh).await.unwrap()));
    scene.time.advance(SECOND);
    scene.loads();
    assert!(stands_in(&scene.call(Refresh).await.unwrap()));
    assert_eq!(scene.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn while_one_reader_tries_again_the_others_have_the_stale_entry_at_once() {
    let scene = Arc::new(stale(Does::Fail).await);
    assert!(stands_in(&scene.call(Refresh).await.unwrap()));
    scene.time.advance(SECOND);
    scene.does(Does::Hang);
    let trying = {
        let scene = scene.clone();
        tokio::spawn(async move { scene.call(Refresh).await.unwrap() })
    };
    tokio::task::yield_now().await;
    let begun = tokio::time::Instant::now();
    for _ in 0..10 {
        assert!(stands_in(&scene.call(Refresh).await.unwrap()));
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(stands_in(&trying.await.unwrap()));
}

#[tokio::test]
async fn an_invalidation_ends_a_pause() {
    let scene = stale(Does::Fail).await;
    assert!(stands_in(&scene.call(Refresh).await.unwrap()));
    scene.service.invalidate::<Quote>(&1).await.unwrap();
    scene.call(Refresh).await.unwrap_err();
    assert_eq!(scene.loads(), 2);
}

#[tokio::test]
async fn strategies_that_ask_for_a_load_know_no_pause() {
    let scene = stale(Does::Fail).await;
    assert!(stands_in(&scene.call(Refresh).await.unwrap()));
    assert_eq!(scene.call(Fresh).await.unwrap().source(), Source::Nothing);
    scene.loads();
    scene.call(Bypass).await.unwrap_err();
    scene.call(Invalidate).await.unwrap_err();
    assert_eq!(scene.loads(), 2);
}

/// Records the durations of loads, whether it wants them or not.
struct Durations {
    wanted: bool,
    told: Arc<watch::Sender<Vec<Duration>>>,
}

impl CacheMetrics for Durations {
    fn record_event(&self, _key: &str, event: &CacheEvent) {
        if let CacheEvent::Loaded { duration, .. } = event {
            self.told.send_modify(|told| told.push(*duration));
        }
    }

    fn wants_durations(&self) -> bool {
        self.wanted
    }
}

#[tokio::test]
async fn where_durations_are_not_wanted_that_of_a_load_is_zero_too() {
    /// A load takes at least one tick of the clock.
    struct Slow;

    impl DataRepository<Quote> for Slow {
        async fn fetch_by_id(&self, id: &u32) -> Result<Option<Quote>> {
            let begun = std::time::Instant::now();
            while begun.elapsed().is_zero() {
                tokio::task::yield_now().await;
            }
            Ok(Some(Quote { id: *id }))
        }
    }

    for wanted in [false, true] {
        let told = Arc::new(watch::Sender::new(Vec::new()));
        let metrics = Durations {
            wanted,
            told: told.clone(),
        };
        let service: CacheService<_> = CacheExpander::new(InMemoryBackend::new())
            .with_metrics(Box::new(metrics))
            .into();
        let mut feeders = [1, 2].map(SharedFeeder::<Quote>::new);
        service
            .execute(&mut feeders[0], &Slow, Refresh)
            .await
            .unwrap();
        service
            .execute_many(&mut feeders[1..], &Slow, Refresh)
            .await
            .unwrap();
        let told = told.borrow();
        assert_eq!(told.len(), 2);
        assert!(told.iter().all(|told| told.is_zero() != wanted), "{told:?}");
    }
}
