//! User code inside the backend that panics: it may affect one call, and the service goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cache_kit::backend::{CacheBackend, InMemoryBackend};
use cache_kit::observability::StoreResult;
use cache_kit::{CacheEntity, CacheService, CacheStrategy, InMemoryRepository, SharedFeeder};
use cache_kit_tests::{Row, row};
use serde::{Deserialize, Serialize};

use super::{engines, get, put};

fn rows(count: u64) -> InMemoryRepository<Row> {
    let rows = InMemoryRepository::new();
    for n in 0..count {
        rows.insert(n.to_string(), row(&n.to_string(), n));
    }
    rows
}

async fn read(service: &CacheService<InMemoryBackend>, n: u64) -> cache_kit::Result<StoreResult> {
    let mut feeder = SharedFeeder::<Row>::new(n.to_string());
    let rows = rows(100);
    let outcome = service
        .execute(&mut feeder, &rows, CacheStrategy::Refresh)
        .await?;
    assert_eq!(feeder.entity.unwrap().version, n);
    Ok(outcome.store())
}

#[tokio::test]
async fn a_listener_that_panics_fails_no_call_and_hears_of_every_eviction() {
    for builder in engines() {
        let heard = Arc::new(AtomicU64::new(0));
        let ear = Arc::clone(&heard);
        let backend = builder
            .max_entries(10)
            .on_eviction(move |_| {
                ear.fetch_add(1, Ordering::Relaxed);
                panic!("a listener that cannot take it");
            })
            .build();
        let service = CacheService::new(backend.clone());
        for n in 0..100 {
            assert_eq!(read(&service, n).await.unwrap(), StoreResult::Stored);
        }
        let kept = backend.len() as u64;
        assert_eq!(heard.load(Ordering::Relaxed), 100 - kept);
        assert_eq!(backend.stats().evictions, 100 - kept);
    }
}

#[tokio::test]
async fn a_weigher_that_panics_fails_the_store_and_not_the_call() {
    for builder in engines() {
        let broken = Arc::new(AtomicBool::new(true));
        let now = Arc::clone(&broken);
        let backend = builder
            .max_weight(1_000, move |_| {
                assert!(!now.load(Ordering::Relaxed), "a weigher that cannot tell");
                1
            })
            .build();
        let service = CacheService::new(backend);
        for n in [1, 1, 2] {
            assert_eq!(read(&service, n).await.unwrap(), StoreResult::Failed);
        }
        broken.store(false, Ordering::Relaxed);
        assert_eq!(read(&service, 1).await.unwrap(), StoreResult::Stored);
        assert_eq!(read(&service, 1).await.unwrap(), StoreResult::NotTried);
    }
}

/// Whether its drop panics; the entities of the test itself do not.
static SORE: AtomicBool = AtomicBool::new(false);

#[derive(Clone, Serialize, Deserialize)]
struct Sore(u64);

impl Drop for Sore {
    fn drop(&mut self) {
        assert!(!SORE.load(Ordering::Relaxed), "it hurts to go");
    }
}

impl CacheEntity for Sore {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        self.0
    }

    fn cache_prefix() -> &'static str {
        "sore"
    }
}

#[tokio::test]
async fn an_entity_whose_drop_panics_fails_no_call_and_no_other_entity() {
    for builder in engines() {
        let backend = builder.max_entries(8).build();
        SORE.store(true, Ordering::Relaxed);
        for n in 0..100 {
            put(&backend, &format!("sore:{}", n % 20), Sore(n)).await;
            put(&backend, &format!("row:{n}"), row("x", n)).await;
        }
        for n in 0..20 {
            let key = format!("sore:{n}");
            backend.invalidate::<Sore>(&key).await.unwrap();
            assert!(get::<Sore>(&backend, &key).await.is_none());
        }
        for n in 0..8 {
            put(&backend, &format!("sore:{n}"), Sore(n)).await;
        }
        backend.clear();
        assert!(backend.is_empty());
        for n in 0..8 {
            put(&backend, &format!("sore:{n}"), Sore(n)).await;
        }
        // Several at once: a panic during a panic would end the process.
        drop(backend);
        SORE.store(false, Ordering::Relaxed);
    }
}
