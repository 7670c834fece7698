//! A panic of a listener, or of other user code, is contained: it does not affect loads or answers.

use std::time::Duration;

use cache_kit::backend::InMemoryBackend;
use cache_kit::observability::{CacheEvent, CacheMetrics, TtlPolicy};
use cache_kit::{
    CacheEntity, CacheExpander, CacheService, CacheStrategy, DataRepository, Error, ErrorKind,
    Result, SharedFeeder,
};
use cache_kit_tests::{Gated, Row};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

/// Panics at every event.
struct Touchy;

impl CacheMetrics for Touchy {
    fn record_hit(&self, _key: &str, _duration: Duration) {
        panic!("a hit")
    }

    fn record_miss(&self, _key: &str, _duration: Duration) {
        panic!("a miss")
    }

    fn record_set(&self, _key: &str, _duration: Duration) {
        panic!("a set")
    }

    fn record_delete(&self, _key: &str, _duration: Duration) {
        panic!("a delete")
    }

    fn record_error(&self, _key: &str, _error: &str) {
        panic!("an error")
    }

    fn record_event(&self, _key: &str, _event: &CacheEvent) {
        panic!("an event")
    }
}

fn touchy() -> CacheService<InMemoryBackend> {
    CacheExpander::new(InMemoryBackend::new())
        .with_metrics(Box::new(Touchy))
        .into()
}

async fn fifty_callers(
    service: &CacheService<InMemoryBackend>,
    database: &Gated,
) -> Vec<Result<()>> {
    let mut callers = JoinSet::new();
    for n in 0..50 {
        let (service, database) = (service.clone(), database.clone());
        callers.spawn(async move {
            let mut feeder = SharedFeeder::<Row>::new("hot".to_owned());
            if n % 2 == 0 {
                service
                    .execute(&mut feeder, &database, CacheStrategy::Refresh)
                    .await?;
            } else {
                let feeders = std::slice::from_mut(&mut feeder);
                service
                    .execute_many(feeders, &database, CacheStrategy::Refresh)
                    .await?;
            }
            assert!(feeder.entity.is_some());
            Ok(())
        });
    }
    database.entered(1).await;
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
    database.let_through(50);
    callers.join_all().await
}

#[tokio::test]
async fn a_listener_that_panics_causes_no_second_load() {
    let (service, database) = (touchy(), Gated::closed());
    database.set("hot", 1);
    let answers = fifty_callers(&service, &database).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(database.loads(), 1);
}

#[tokio::test]
async fn a_listener_that_panics_over_a_failing_load_causes_no_second_load() {
    let (service, database) = (touchy(), Gated::closed());
    database.fail(Some(Error::RepositoryError("down".into())));
    let answers = fifty_callers(&service, &database).await;
    let kinds = answers
        .iter()
        .map(|answer| answer.as_ref().unwrap_err().kind());
    assert!(kinds.into_iter().all(|kind| kind == ErrorKind::Repository));
    assert_eq!(database.loads(), 1);
    assert_eq!(service.expander().loads_in_flight(), 0);
}

#[tokio::test]
async fn a_policy_that_panics_fails_its_own_call_and_no_other() {
    let service: CacheService<_> = CacheExpander::new(InMemoryBackend::new())
        .with_ttl_policy(TtlPolicy::PerType(|_| panic!("no policy")))
        .into();
    let database = Gated::closed();
    database.set("hot", 1);
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let (service, database) = (service.clone(), database.clone());
        callers.spawn(async move {
            let mut feeder = SharedFeeder::<Row>::new("hot".to_owned());
            service
                .execute(&mut feeder, &database, CacheStrategy::Refresh)
                .await
        });
    }
    database.entered(1).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    database.let_through(20);
    let (mut panicked, mut answered) = (0, 0);
    while let Some(caller) = callers.join_next().await {
        match caller {
            Ok(answer) => {
                answer.unwrap();
                answered += 1;
            }
            Err(error) => {
                assert!(error.is_panic());
                panicked += 1;
            }
        }
    }
    assert_eq!((panicked, answered, database.loads()), (1, 19, 1));
    assert_eq!(service.expander().loads_in_flight(), 0);
}

/// Panics during its validation, if its number says so.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Choosy {
    id: u64,
}

impl CacheEntity for Choosy {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "choosy"
    }

    fn cache_validate(&self) -> Result<()> {
        assert!(self.id % 10 != 3, "the third of ten");
        Ok(())
    }
}

struct Numbers;

impl DataRepository<Choosy> for Numbers {
    async fn fetch_by_id(&self, id: &u64) -> Result<Option<Choosy>> {
        Ok(Some(Choosy { id: *id }))
    }
}

#[tokio::test]
async fn a_validation_that_panics_in_a_batch_is_an_error_of_its_own_row() {
    let service = CacheService::new(InMemoryBackend::new());
    let mut feeders: Vec<_> = (0..10).map(SharedFeeder::<Choosy>::new).collect();
    let error = service
        .execute_many(&mut feeders[..], &Numbers, CacheStrategy::Refresh)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.to_string().contains("choosy:3"), "{error}");
    // The others have been stored.
    for id in (0..10).filter(|id| *id != 3) {
        let mut feeder = SharedFeeder::<Choosy>::new(id);
        let outcome = service
            .execute(&mut feeder, &Numbers, CacheStrategy::Fresh)
            .await
            .unwrap();
        assert!(outcome.is_hit(), "{id}");
    }
    let mut feeder = SharedFeeder::<Choosy>::new(3);
    let error = service
        .execute(&mut feeder, &Numbers, CacheStrategy::Refresh)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
}
