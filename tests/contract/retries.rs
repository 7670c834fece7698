//! Which loads are retried, how often, and within which time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cache_kit::backend::InMemoryBackend;
use cache_kit::repository;
use cache_kit::{
    CacheService, CacheStrategy, DataRepository, Error, ErrorKind, GenericFeeder, OperationConfig,
    Outcome, Result,
};
use cache_kit_tests::{Row, row};
use tokio::time::Instant;

/// Fails `failures` times with `error`, then answers.
fn flaky(failures: u32, error: Error) -> (Arc<AtomicU32>, impl DataRepository<Row>) {
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let repository = repository::from_fn(move |id: &String| {
        let answer = if counted.fetch_add(1, Ordering::Relaxed) < failures {
            Err(error.clone())
        } else {
            Ok(Some(row(id, 1)))
        };
        async move { answer }
    });
    (tries, repository)
}

async fn read(repository: &impl DataRepository<Row>, config: OperationConfig) -> Result<Outcome> {
    let cache = CacheService::new(InMemoryBackend::new());
    let mut feeder = GenericFeeder::<Row>::new("a".to_owned());
    cache
        .execute_with_config(&mut feeder, repository, CacheStrategy::Refresh, config)
        .await
}

#[tokio::test(start_paused = true)]
async fn a_load_is_tried_as_often_as_asked_and_no_more() {
    let down = Error::RepositoryError("down".into());
    let (tries, repository) = flaky(3, down.clone());
    read(&repository, OperationConfig::default().with_retry(3))
        .await
        .unwrap();
    assert_eq!(tries.load(Ordering::Relaxed), 4);

    let (tries, repository) = flaky(3, down.clone());
    let error = read(&repository, OperationConfig::default().with_retry(2))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Repository);
    assert_eq!(tries.load(Ordering::Relaxed), 3);

    let (tries, repository) = flaky(1, down);
    assert!(read(&repository, OperationConfig::default()).await.is_err());
    assert_eq!(tries.load(Ordering::Relaxed), 1, "no retries by default");
}

#[tokio::test(start_paused = true)]
async fn what_no_retry_can_mend_is_not_tried_again() {
    for permanent in [
        Error::repository_permanent(std::io::Error::other("row does not decode")),
        Error::ValidationError("no such tenant".into()),
    ] {
        let (tries, repository) = flaky(9, permanent);
        assert!(
            read(&repository, OperationConfig::default().with_retry(5))
                .await
                .is_err()
        );
        assert_eq!(tries.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_pauses_are_jittered_and_capped() {
    let (_, repository) = flaky(8, Error::RepositoryError("down".into()));
    let begun = Instant::now();
    let config = OperationConfig::default()
        .with_retry(8)
        .with_load_deadline(Duration::from_secs(60));
    read(&repository, config).await.unwrap();
    // 50 + 100 + 200 + 400 + 800 + 1,000 × 3 ms, and a tick of the timer for each.
    assert!(
        begun.elapsed() <= Duration::from_millis(4_550 + 8),
        "{:?}",
        begun.elapsed()
    );
    assert!(begun.elapsed() > Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn all_tries_together_stay_within_the_deadline() {
    let (tries, repository) = flaky(u32::MAX, Error::RepositoryError("down".into()));
    let begun = Instant::now();
    let config = OperationConfig::default()
        .with_retry(u32::MAX)
        .with_load_deadline(Duration::from_secs(3));
    let error = read(&repository, config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(begun.elapsed().as_secs(), 3);
    assert!(tries.load(Ordering::Relaxed) >= 4);
}
