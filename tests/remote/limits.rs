//! Limits of an entity: the size of its stored form, and its validation.

use std::sync::Mutex;

use cache_kit::CacheStrategy::{Bypass, Fresh, Refresh};
use cache_kit::backend::CacheBackend;
use cache_kit::observability::StoreResult;
use cache_kit::{
    CacheEntity, CacheService, CacheStrategy, Error, Outcome, Result, SharedFeeder, Source,
    repository,
};
use cache_kit_tests::calls::{call, scene, service};
use cache_kit_tests::servers::Server;
use serde::{Deserialize, Serialize};

/// A text of up to 200 bytes of stored form, which can be made invalid.
#[derive(Clone, Serialize, Deserialize)]
struct Note {
    text: String,
}

/// The texts that have become invalid.
static BAD: Mutex<Vec<String>> = Mutex::new(Vec::new());

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
        if BAD.lock().unwrap().contains(&self.text) {
            return Err(Error::ValidationError("unfit".into()));
        }
        Ok(())
    }
}

async fn read<B: CacheBackend>(
    service: &CacheService<B>,
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

pub async fn an_entity_larger_than_its_type_allows_is_served_and_not_stored<S: Server>() {
    let (server, _) = scene::<S>();
    let service = service::<S>(&server.url());
    let large = "x".repeat(150);
    for _ in 0..2 {
        let (outcome, seen) = read(&service, &large, Refresh).await.unwrap();
        assert_eq!(outcome.source(), Source::Repository);
        assert_eq!(outcome.store(), StoreResult::TooLarge);
        assert_eq!(seen.as_deref(), Some(large.as_str()));
    }
    assert_eq!(server.value("note:n"), None);
    let (outcome, _) = read(&service, "small", Refresh).await.unwrap();
    assert_eq!(outcome.store(), StoreResult::Stored);
    assert!(read(&service, "", Fresh).await.unwrap().0.is_hit());
}

pub async fn a_stored_entity_that_has_become_unfit_is_a_miss_that_is_overwritten<S: Server>() {
    let (server, _) = scene::<S>();
    let service = service::<S>(&server.url());
    // No other test has a note with this text.
    let fish = format!("fresh fish of {}", std::any::type_name::<S>());
    read(&service, &fish, Refresh).await.unwrap();
    assert!(read(&service, "", Fresh).await.unwrap().0.is_hit());
    BAD.lock().unwrap().push(fish);
    let (outcome, seen) = read(&service, "", Fresh).await.unwrap();
    assert_eq!((outcome.source(), seen), (Source::Nothing, None));
    let (outcome, seen) = read(&service, "short", Refresh).await.unwrap();
    assert_eq!(outcome.store(), StoreResult::Stored);
    assert_eq!(seen.as_deref(), Some("short"));
    let (outcome, seen) = read(&service, "", Fresh).await.unwrap();
    assert!(outcome.is_hit() && seen.as_deref() == Some("short"));
}

/// A service that keeps no entry of this test.
fn small<S: Server>(server: &S) -> CacheService<S::Backend> {
    let backend = S::patient_backend(&server.url(), |encoded| encoded.with_max_value_bytes(64));
    CacheService::new(backend.unwrap())
}

pub async fn what_is_too_large_is_not_kept_and_what_was_there_is_gone<S: Server>() {
    let (server, database) = scene::<S>();
    let large = service::<S>(&server.url());
    call(&large, &database, "k", Refresh).await.unwrap();
    let small = small::<S>(&server);
    let (outcome, _) = call(&small, &database, "k", Bypass).await.unwrap();
    assert_eq!(outcome.store(), StoreResult::TooLarge);
    assert_eq!(server.value("row:k"), None);
}

pub async fn services_with_different_limits_do_not_delete_each_others_entries<S: Server>() {
    let (server, database) = scene::<S>();
    let large = service::<S>(&server.url());
    let small = small::<S>(&server);
    call(&large, &database, "k", Refresh).await.unwrap();
    for _ in 0..3 {
        let (outcome, seen) = call(&small, &database, "k", Refresh).await.unwrap();
        assert_eq!((outcome.source(), seen), (Source::Repository, Some(1)));
        assert_eq!(outcome.store(), StoreResult::TooLarge);
        let (outcome, _) = call(&large, &database, "k", Refresh).await.unwrap();
        assert!(outcome.is_hit(), "it was deleted");
    }
    assert_eq!(call(&small, &database, "k", Fresh).await.unwrap().1, None);
}
