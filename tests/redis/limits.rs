//! Limits of an entity: the size of its stored form, and its validation.

use std::sync::atomic::{AtomicBool, Ordering};

use cache_kit::CacheStrategy::{Fresh, Refresh};
use cache_kit::backend::RedisBackend;
use cache_kit::observability::StoreResult;
use cache_kit::{
    CacheEntity, CacheService, CacheStrategy, Error, Outcome, Result, SharedFeeder, Source,
    repository,
};
use serde::{Deserialize, Serialize};

use super::{Service, scene, service};

/// A text of up to 200 bytes of stored form, which can be made invalid.
#[derive(Clone, Serialize, Deserialize)]
struct Note {
    text: String,
}

/// A note that is valid until the test says otherwise.
const GOES_BAD: &str = "fresh fish";

static IS_BAD: AtomicBool = AtomicBool::new(false);

impl CacheEntity for Note {
    type Key = String;

    fn cache_key(&self) -> String {
        "n".to_owned()
    }

    fn cache_prefix() -> &'static str {
        "note"
    }

    fn cache_max_bytes() -> Option<usize> {
        Some(200)
    }

    fn cache_validate(&self) -> Result<()> {
        if self.text == GOES_BAD && IS_BAD.load(Ordering::Relaxed) {
            return Err(Error::ValidationError("unfit".into()));
        }
        Ok(())
    }
}

async fn read(
    service: &Service,
    text: &str,
    strategy: CacheStrategy,
) -> Result<(Outcome, Option<String>)> {
    let notes = repository::from_fn(|_: &String| {
        let text = text.to_owned();
        async move { Ok(Some(Note { text })) }
    });
    let mut feeder = SharedFeeder::<Note>::new("n".to_owned());
    let outcome = service.execute(&mut feeder, &notes, strategy).await?;
    Ok((outcome, feeder.entity.map(|note| note.text.clone())))
}

#[tokio::test]
async fn an_entity_larger_than_its_type_allows_is_served_and_not_stored() {
    let (server, _) = scene();
    let service = service(&server.url());
    let large = "x".repeat(150);
    for _ in 0..2 {
        let (outcome, seen) = read(&service, &large, Refresh).await.unwrap();
        assert_eq!(outcome.source(), Source::Repository);
        assert_eq!(outcome.store(), StoreResult::TooLarge);
        assert_eq!(seen.as_deref(), Some(large.as_str()));
    }
    assert_eq!(server.command(&["EXISTS", "note:n"]).integer(), Some(0));
    let (outcome, _) = read(&service, "small", Refresh).await.unwrap();
    assert_eq!(outcome.store(), StoreResult::Stored);
    assert!(read(&service, "", Fresh).await.unwrap().0.is_hit());
}

#[tokio::test]
async fn a_stored_entity_that_has_become_unfit_is_a_miss_that_is_overwritten() {
    let (server, _) = scene();
    let service = service(&server.url());
    read(&service, GOES_BAD, Refresh).await.unwrap();
    assert!(read(&service, "", Fresh).await.unwrap().0.is_hit());
    IS_BAD.store(true, Ordering::Relaxed);
    let (outcome, seen) = read(&service, "", Fresh).await.unwrap();
    assert_eq!((outcome.source(), seen), (Source::Nothing, None));
    let (outcome, seen) = read(&service, "short", Refresh).await.unwrap();
    assert_eq!(outcome.store(), StoreResult::Stored);
    assert_eq!(seen.as_deref(), Some("short"));
    let (outcome, seen) = read(&service, "", Fresh).await.unwrap();
    assert!(outcome.is_hit() && seen.as_deref() == Some("short"));
}

#[tokio::test]
async fn services_with_different_limits_do_not_delete_each_others_entries() {
    let (server, database) = super::scene();
    let large = super::service(&server.url());
    let config = super::config(&server.url()).set(|encoded| {
        encoded
            .with_max_value_bytes(64)
            .with_operation_deadline(super::PATIENCE)
    });
    let small = CacheService::new(RedisBackend::new(config).unwrap());
    super::call(&large, &database, "k", Refresh).await.unwrap();
    for _ in 0..3 {
        let (outcome, seen) = super::call(&small, &database, "k", Refresh).await.unwrap();
        assert_eq!((outcome.source(), seen), (Source::Repository, Some(1)));
        assert_eq!(outcome.store(), StoreResult::TooLarge);
        let (outcome, _) = super::call(&large, &database, "k", Refresh).await.unwrap();
        assert!(outcome.is_hit(), "it was deleted");
    }
    assert_eq!(
        super::call(&small, &database, "k", Fresh).await.unwrap().1,
        None
    );
}
