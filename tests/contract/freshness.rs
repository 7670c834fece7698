//! What an entity says about itself: when it is stale, its absence, and its validation.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_kit::CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::InMemoryBackend;
use cache_kit::observability::StoreResult;
use cache_kit::testing::ManualClock;
use cache_kit::{
    CacheEntity, CacheExpander, CacheFeedMany, CacheService, CacheStrategy, DataRepository, Error,
    ErrorKind, OperationConfig, Outcome, Result, SharedFeeder, Source,
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

const TTL: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(600);
const NEGATIVE_TTL: Duration = Duration::from_secs(20);
const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Serialize, Deserialize)]
struct Session {
    id: u32,
    version: u32,
}

/// A version that fails the validation.
const UNFIT: u32 = 666;

impl CacheEntity for Session {
    type Key = u32;

    fn cache_key(&self) -> u32 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "session"
    }

    fn cache_ttl() -> Option<Duration> {
        Some(TTL)
    }

    fn cache_stale_if_error() -> Option<Duration> {
        Some(GRACE)
    }

    fn cache_negative_ttl() -> Option<Duration> {
        Some(NEGATIVE_TTL)
    }

    fn cache_validate(&self) -> Result<()> {
        if self.version == UNFIT {
            return Err(Error::ValidationError("unfit".into()));
        }
        Ok(())
    }
}

/// The table's answer for every session.
#[derive(Clone, Copy)]
enum Says {
    Version(u32),
    Nothing,
    Down,
}

struct Database {
    says: watch::Sender<Says>,
    loads: AtomicUsize,
}

impl DataRepository<Session> for Database {
    async fn fetch_by_id(&self, id: &u32) -> Result<Option<Session>> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        match *self.says.borrow() {
            Says::Version(version) => Ok(Some(Session { id: *id, version })),
            Says::Nothing => Ok(None),
            Says::Down => Err(Error::RepositoryError("down".into())),
        }
    }
}

struct Scene {
    time: ManualClock,
    service: CacheService<InMemoryBackend>,
    database: Database,
}

impl Scene {
    fn new(says: Says) -> Self {
        let time = ManualClock::new();
        let expander = CacheExpander::new(InMemoryBackend::new()).with_clock(time.clock());
        Self {
            time,
            service: expander.into(),
            database: Database {
                says: watch::Sender::new(says),
                loads: AtomicUsize::new(0),
            },
        }
    }

    fn says(&self, says: Says) {
        self.database.says.send_replace(says);
    }

    fn loads(&self) -> usize {
        self.database.loads.swap(0, Ordering::Relaxed)
    }

    async fn call(&self, strategy: CacheStrategy) -> Result<(Outcome, Option<u32>)> {
        let mut feeder = SharedFeeder::<Session>::new(1);
        let outcome = self
            .service
            .execute(&mut feeder, &self.database, strategy)
            .await?;
        Ok((outcome, feeder.entity.map(|session| session.version)))
    }

    async fn sees(&self, strategy: CacheStrategy) -> Option<u32> {
        self.call(strategy).await.unwrap().1
    }
}

#[tokio::test]
async fn a_stale_entry_stands_in_for_a_load_that_fails() {
    let scene = Scene::new(Says::Version(1));
    assert_eq!(scene.sees(Refresh).await, Some(1));
    scene.says(Says::Down);
    scene.time.advance(TTL);

    let (outcome, seen) = scene.call(Refresh).await.unwrap();
    assert_eq!((outcome.source(), seen), (Source::Cache, Some(1)));
    assert!(outcome.is_stale() && outcome.degraded().repository);
    assert_eq!(outcome.age(), Some(TTL));
    assert_eq!(scene.loads(), 2, "it was tried");

    let (outcome, seen) = scene.call(Fresh).await.unwrap();
    assert_eq!((outcome.source(), seen), (Source::Nothing, None));
    for strategy in [Bypass, Invalidate] {
        let error = scene.call(strategy).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Repository, "{strategy}");
    }
    let error = scene.call(Refresh).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Repository, "it was invalidated");
}

#[tokio::test]
async fn a_stale_entry_is_loaded_anew_where_that_works() {
    let scene = Scene::new(Says::Version(1));
    assert_eq!(scene.sees(Refresh).await, Some(1));
    scene.says(Says::Version(2));
    scene.time.advance(TTL - SECOND);
    assert_eq!(scene.sees(Refresh).await, Some(1));
    scene.time.advance(SECOND);
    let (outcome, seen) = scene.call(Refresh).await.unwrap();
    assert_eq!((outcome.store(), seen), (StoreResult::Stored, Some(2)));
    assert!(!outcome.is_stale());
    assert_eq!(scene.sees(Fresh).await, Some(2));
}

#[tokio::test]
async fn after_its_stale_time_an_entry_is_nothing() {
    let scene = Scene::new(Says::Version(1));
    assert_eq!(scene.sees(Refresh).await, Some(1));
    scene.says(Says::Down);
    scene.time.advance(TTL + GRACE - SECOND);
    assert_eq!(scene.sees(Refresh).await, Some(1));
    scene.time.advance(SECOND);
    let error = scene.call(Refresh).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Repository);
}

/// Invalidates its session while it loads it, and then fails.
struct Treacherous<'s>(&'s Scene);

impl DataRepository<Session> for Treacherous<'_> {
    async fn fetch_by_id(&self, id: &u32) -> Result<Option<Session>> {
        self.0.service.invalidate::<Session>(id).await.unwrap();
        Err(Error::RepositoryError("down".into()))
    }
}

#[tokio::test]
async fn an_invalidation_during_the_load_beats_the_stale_entry() {
    let scene = Scene::new(Says::Version(1));
    assert_eq!(scene.sees(Refresh).await, Some(1));
    scene.time.advance(TTL);
    let mut feeder = SharedFeeder::<Session>::new(1);
    let error = scene
        .service
        .execute(&mut feeder, &Treacherous(&scene), Refresh)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Repository);
    assert!(feeder.entity.is_none());
}

#[tokio::test]
async fn an_absence_is_remembered_for_its_time() {
    let scene = Scene::new(Says::Nothing);
    let (outcome, seen) = scene.call(Refresh).await.unwrap();
    assert_eq!((outcome.store(), seen), (StoreResult::Stored, None));
    scene.time.advance(NEGATIVE_TTL - SECOND);
    for strategy in [Refresh, Fresh] {
        let (outcome, seen) = scene.call(strategy).await.unwrap();
        assert_eq!((outcome.source(), seen), (Source::Cache, None));
    }
    assert_eq!(scene.loads(), 1);
    scene.says(Says::Version(1));
    scene.time.advance(SECOND);
    assert_eq!(scene.sees(Refresh).await, Some(1));
}

#[tokio::test]
async fn an_absence_is_never_stale_and_goes_with_an_invalidation() {
    let scene = Scene::new(Says::Nothing);
    assert_eq!(scene.sees(Refresh).await, None);
    scene.time.advance(NEGATIVE_TTL);
    scene.says(Says::Down);
    assert!(scene.call(Refresh).await.is_err());

    scene.says(Says::Nothing);
    assert_eq!(scene.sees(Refresh).await, None);
    scene.says(Says::Version(1));
    scene.service.invalidate::<Session>(&1).await.unwrap();
    assert_eq!(scene.sees(Refresh).await, Some(1));
}

#[tokio::test]
async fn what_is_not_to_be_stored_is_no_absence_to_be_remembered() {
    let scene = Scene::new(Says::Nothing);
    for _ in 0..3 {
        let mut feeder = SharedFeeder::<Session>::new(1);
        let config = OperationConfig::default().with_ttl(Duration::ZERO);
        let outcome = scene
            .service
            .execute_with_config(&mut feeder, &scene.database, Refresh, config)
            .await
            .unwrap();
        assert_eq!(outcome.store(), StoreResult::NotTried);
    }
    assert_eq!(scene.loads(), 3);
}

#[tokio::test]
async fn an_unfit_row_is_an_error_that_is_not_stored() {
    let scene = Scene::new(Says::Version(UNFIT));
    for strategy in [Refresh, Invalidate, Bypass] {
        let error = scene.call(strategy).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{strategy}: {error}");
        assert!(!error.is_retryable());
    }
    scene.says(Says::Version(2));
    assert_eq!(scene.sees(Fresh).await, None);
    let (outcome, seen) = scene.call(Refresh).await.unwrap();
    assert_eq!((outcome.store(), seen), (StoreResult::Stored, Some(2)));
}

struct Many(Vec<Option<Arc<Session>>>);

impl CacheFeedMany<Session> for Many {
    fn entity_ids(&mut self) -> Vec<u32> {
        vec![1, 2, 3]
    }

    fn feed_many(&mut self, entities: Vec<Option<Arc<Session>>>) {
        self.0 = entities;
    }
}

#[tokio::test]
async fn a_batch_knows_absences_stale_entries_and_unfit_rows() {
    let scene = Scene::new(Says::Nothing);
    let batch = async || {
        let mut many = Many(Vec::new());
        let done = scene
            .service
            .execute_many(&mut many, &scene.database, Refresh)
            .await;
        let versions = many.0.iter().map(|row| row.as_ref().map(|row| row.version));
        done.map(|_| versions.collect::<Vec<_>>())
    };
    assert_eq!(batch().await.unwrap(), [None; 3]);
    assert_eq!(scene.loads(), 3);
    scene.says(Says::Version(1));
    assert_eq!(batch().await.unwrap(), [None; 3]);
    assert_eq!(scene.loads(), 0, "all absences were remembered");

    scene.time.advance(NEGATIVE_TTL);
    assert_eq!(batch().await.unwrap(), [Some(1); 3]);
    scene.time.advance(TTL);
    scene.says(Says::Down);
    assert_eq!(batch().await.unwrap(), [Some(1); 3]);

    scene.service.invalidate::<Session>(&2).await.unwrap();
    assert!(batch().await.is_err(), "nothing stands in for the second");

    scene.says(Says::Version(UNFIT));
    scene.time.advance(GRACE);
    assert_eq!(batch().await.unwrap_err().kind(), ErrorKind::Validation);
    scene.says(Says::Version(2));
    assert_eq!(batch().await.unwrap(), [Some(2); 3]);
}
