//! The in-memory backend, with both engines: bounds, weights, listeners, and where user code runs.

mod extremes;
mod keys;
mod panics;
mod stamps;
mod weights;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_kit::backend::{
    CacheBackend, Engine, EvictionCause, Fence, InMemoryBackend, InMemoryBuilder, Invalidated,
    LeaseId, LeaseRequest, Leased, Lookup, MissReason, Stored, Take,
};
use cache_kit::clock::{Clock, Timestamp};
use cache_kit::entry::Entry;
use cache_kit::{
    CacheEntity, CacheKey, CacheService, CacheStrategy, InMemoryRepository, SharedFeeder,
};
use cache_kit_tests::{Row, row};
use serde::{Deserialize, Serialize};

fn engines() -> [InMemoryBuilder; 2] {
    [Engine::QuickCache, Engine::Moka].map(|engine| InMemoryBackend::builder().engine(engine))
}

/// The entry of `row:a`, if it can be had without waiting.
fn at_hand(backend: &InMemoryBackend, now: Timestamp) -> Option<Entry<Row>> {
    backend.try_get(CacheKey::new(&"a".to_owned()), now)
}

fn request(take: Take) -> LeaseRequest {
    LeaseRequest {
        id: LeaseId(1),
        take,
        now: Clock::system().now(),
    }
}

fn entry<T>(value: T) -> Entry<T> {
    Entry {
        value: Some(Arc::new(value)),
        created: Clock::system().now(),
        stale_from: Timestamp::NEVER,
        expires: Timestamp::NEVER,
        load_millis: 3,
        pinned: false,
    }
}

async fn put<T: CacheEntity>(backend: &InMemoryBackend, key: &str, value: T) -> Stored {
    let Leased::Granted { lease, .. } = backend.lease::<T>(key, request(Take::Over)).await.unwrap()
    else {
        panic!("no lease");
    };
    let now = Clock::system().now();
    backend.store(key, lease, entry(value), now).await.unwrap()
}

async fn get<T: CacheEntity>(backend: &InMemoryBackend, key: &str) -> Option<Arc<T>> {
    match backend.get::<T>(key, Clock::system().now()).await.unwrap() {
        Lookup::Hit { entry, .. } => entry.value,
        Lookup::Miss { .. } => None,
    }
}

#[tokio::test]
async fn what_is_stored_comes_back_shared_and_with_its_stamps() {
    for builder in engines() {
        let backend = builder.build();
        assert_eq!(put(&backend, "row:a", row("a", 1)).await, Stored::Stored);
        let now = Clock::system().now();
        let Lookup::Hit { entry, fence } = backend.get::<Row>("row:a", now).await.unwrap() else {
            panic!("a miss");
        };
        assert_eq!(*entry.value.clone().unwrap(), row("a", 1));
        assert_eq!((entry.expires, entry.load_millis), (Timestamp::NEVER, 3));
        assert!(fence.is_some());
        let clone = backend.clone();
        let other = get::<Row>(&clone, "row:a").await.unwrap();
        assert!(
            Arc::ptr_eq(&entry.value.unwrap(), &other),
            "clones share their entries"
        );
        assert_eq!(backend.len(), 1);
        assert_eq!(
            clone.invalidate::<Row>("row:a").await.unwrap(),
            Invalidated::Done
        );
        assert!(backend.is_empty());
        assert_eq!(get::<Row>(&backend, "row:a").await, None);
        let stats = backend.stats();
        assert_eq!((stats.hits, stats.misses, stats.stores), (2, 1, 1));
        assert_eq!(
            (stats.invalidations, stats.fenced, stats.evictions),
            (1, 0, 0)
        );
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note(String);

impl CacheEntity for Note {
    type Key = String;

    fn cache_key(&self) -> String {
        "a".to_owned()
    }

    fn cache_prefix() -> &'static str {
        "row"
    }
}

#[tokio::test]
async fn two_types_under_one_key_never_mix() {
    for builder in engines() {
        let backend = builder.build();
        put(&backend, "row:a", row("a", 1)).await;
        assert_eq!(get::<Note>(&backend, "row:a").await, None);
        put(&backend, "row:a", Note("hello".into())).await;
        assert_eq!(*get::<Row>(&backend, "row:a").await.unwrap(), row("a", 1));
        assert_eq!(
            *get::<Note>(&backend, "row:a").await.unwrap(),
            Note("hello".into())
        );
        backend.invalidate::<Row>("row:a").await.unwrap();
        assert_eq!(get::<Row>(&backend, "row:a").await, None);
        assert!(get::<Note>(&backend, "row:a").await.is_some());
    }
}

#[tokio::test]
async fn an_entry_is_gone_at_its_expiry_and_its_lease_is_then_to_be_had() {
    for builder in engines() {
        let backend = builder.build();
        let at = Timestamp::from_millis;
        let Leased::Granted { lease, .. } = backend
            .lease::<Row>(
                "row:a",
                LeaseRequest {
                    now: at(0),
                    ..request(Take::IfMissing)
                },
            )
            .await
            .unwrap()
        else {
            panic!("no lease");
        };
        let entry = Entry {
            expires: at(500),
            ..entry(row("a", 1))
        };
        backend.store("row:a", lease, entry, at(0)).await.unwrap();
        let take = |now| LeaseRequest {
            now,
            ..request(Take::IfMissing)
        };
        assert!(matches!(
            backend.lease::<Row>("row:a", take(at(499))).await.unwrap(),
            Leased::Found
        ));
        assert!(matches!(
            backend.get::<Row>("row:a", at(499)).await.unwrap(),
            Lookup::Hit { .. }
        ));
        assert!(matches!(
            backend.get::<Row>("row:a", at(500)).await.unwrap(),
            Lookup::Miss {
                reason: MissReason::Expired,
                ..
            }
        ));
        assert!(at_hand(&backend, at(500)).is_none());
        assert!(matches!(
            backend.lease::<Row>("row:a", take(at(500))).await.unwrap(),
            Leased::Granted { .. }
        ));
    }
}

#[tokio::test]
async fn a_miss_tells_the_fence_of_the_load_in_flight() {
    for builder in engines() {
        let backend = builder.build();
        let now = Clock::system().now();
        let fence_of = |found: Lookup<Row>| match found {
            Lookup::Miss { fence, .. } => fence,
            Lookup::Hit { fence, .. } => panic!("a hit: {fence:?}"),
        };
        assert_eq!(fence_of(backend.get("row:a", now).await.unwrap()), None);
        let Leased::Granted { lease, fence } = backend
            .lease::<Row>("row:a", request(Take::IfMissing))
            .await
            .unwrap()
        else {
            panic!("no lease");
        };
        assert_eq!(
            fence_of(backend.get("row:a", now).await.unwrap()),
            Some(fence)
        );
        backend.invalidate::<Row>("row:a").await.unwrap();
        let overtaken: Option<Fence> = fence_of(backend.get("row:a", now).await.unwrap());
        assert!(overtaken.is_some() && overtaken != Some(fence));
        drop(lease);
        assert_eq!(fence_of(backend.get("row:a", now).await.unwrap()), None);
    }
}

#[tokio::test]
async fn many_keys_at_once_keep_their_order() {
    for builder in engines() {
        let backend = builder.build();
        for n in [1, 3] {
            put(&backend, &format!("row:{n}"), row("x", n)).await;
        }
        let keys = ["row:3", "row:2", "row:1", "row:3"];
        let now = Clock::system().now();
        let found: Vec<_> = backend
            .get_many::<Row>(&keys, now)
            .await
            .into_iter()
            .map(|answer| match answer.unwrap() {
                Lookup::Hit { entry, .. } => entry.value.map(|row| row.version),
                Lookup::Miss { .. } => None,
            })
            .collect();
        assert_eq!(found, [Some(3), None, Some(1), Some(3)]);

        let requests = ["row:4", "row:5"].map(|key| (key, request(Take::IfMissing)));
        let leases: Vec<_> = backend
            .lease_many::<Row>(&requests)
            .await
            .into_iter()
            .zip(4..)
            .map(|(leased, n)| match leased.unwrap() {
                Leased::Granted { lease, .. } => {
                    (requests[n - 4].0, lease, entry(row("x", n as u64)))
                }
                other => panic!("{other:?}"),
            })
            .collect();
        let stored = backend.store_many(leases, now).await;
        assert!(
            stored
                .into_iter()
                .all(|stored| stored.unwrap() == Stored::Stored)
        );
        assert_eq!(backend.len(), 4);
        let gone = backend.invalidate_many::<Row>(&["row:4", "row:9"]).await;
        assert!(
            gone.into_iter()
                .all(|gone| gone.unwrap() == Invalidated::Done)
        );
        assert_eq!(get::<Row>(&backend, "row:4").await, None);
        assert_eq!(get::<Row>(&backend, "row:5").await.unwrap().version, 5);
        assert_eq!(backend.len(), 3);
    }
}

#[tokio::test]
async fn the_number_of_entries_is_bounded_and_the_bound_is_used() {
    for builder in engines() {
        let backend = builder.max_entries(1_000).build();
        for n in 0..5_000 {
            put(&backend, &format!("row:{n}"), row("x", n)).await;
        }
        let kept = backend.len();
        assert!((900..=1_000).contains(&kept), "{kept}");
        let stats = backend.stats();
        assert_eq!(
            (stats.stores, stats.evictions),
            (5_000, 5_000 - kept as u64)
        );
    }
}

#[tokio::test]
async fn a_capacity_of_zero_keeps_nothing_and_answers_all_the_same() {
    for builder in engines() {
        let service = CacheService::new(builder.max_entries(0).build());
        let rows = InMemoryRepository::new();
        rows.insert("a".to_owned(), row("a", 1));
        for _ in 0..2 {
            let mut feeder = SharedFeeder::<Row>::new("a".to_owned());
            let outcome = service
                .execute(&mut feeder, &rows, CacheStrategy::Refresh)
                .await
                .unwrap();
            assert_eq!(
                outcome.store(),
                cache_kit::observability::StoreResult::TooLarge
            );
            assert_eq!(feeder.entity.unwrap().version, 1);
        }
        assert!(service.backend().is_empty());
    }
}

fn heavy(bytes: usize) -> Note {
    Note("x".repeat(bytes))
}

#[tokio::test]
async fn weights_bound_the_sum_and_what_is_too_heavy_is_not_kept() {
    for builder in engines() {
        let backend = builder
            .max_weight(10_000, |entry| {
                assert!(entry.key().starts_with("row:"));
                entry.entity::<Note>().map_or(1, |note| note.0.len() as u64)
            })
            .build();
        assert_eq!(put(&backend, "row:big", heavy(4_000)).await, Stored::Stored);
        assert_eq!(
            put(&backend, "row:big", heavy(10_001)).await,
            Stored::TooLarge
        );
        // The old entry is older than the refused value, so it is gone.
        assert_eq!(get::<Note>(&backend, "row:big").await, None);
        for n in 0..100 {
            assert_eq!(
                put(&backend, &format!("row:{n}"), heavy(500)).await,
                Stored::Stored
            );
        }
        let kept = backend.len();
        assert!((15..=20).contains(&kept), "{kept}");
    }
}

#[tokio::test]
async fn the_listener_hears_of_evictions_and_of_nothing_else() {
    for builder in engines() {
        let heard: Arc<Mutex<Vec<(String, u64)>>> = Arc::default();
        let ear = Arc::clone(&heard);
        let backend = builder
            .max_entries(10)
            .on_eviction(move |evicted| {
                assert_eq!(evicted.cause(), EvictionCause::Capacity);
                let version = evicted.entity::<Row>().unwrap().version;
                assert!(evicted.entity::<Note>().is_none());
                ear.lock()
                    .unwrap()
                    .push((evicted.key().to_owned(), version));
            })
            .build();
        for n in 0..10 {
            put(&backend, &format!("row:{n}"), row("x", n)).await;
            put(&backend, &format!("row:{n}"), row("x", n)).await;
        }
        backend.invalidate::<Row>("row:3").await.unwrap();
        backend.clear();
        assert_eq!(
            heard.lock().unwrap().as_slice(),
            [],
            "replaced and invalidated, not evicted"
        );
        for n in 0..100 {
            put(&backend, &format!("row:{n}"), row("x", n)).await;
        }
        let kept = backend.len();
        let heard = heard.lock().unwrap();
        let keys: BTreeSet<_> = heard.iter().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), heard.len(), "no eviction is told twice");
        assert!(
            heard
                .iter()
                .all(|(key, version)| *key == format!("row:{version}"))
        );
        assert_eq!(heard.len(), 100 - kept);
        assert_eq!(backend.stats().evictions as usize, heard.len());
    }
}

#[tokio::test]
async fn idle_entries_leave_a_cache_with_a_time_to_idle() {
    let backend = InMemoryBackend::builder()
        .time_to_idle(Duration::from_millis(1))
        .build();
    put(&backend, "row:a", row("a", 1)).await;
    let begun = std::time::Instant::now();
    while !backend.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never left");
        tokio::task::yield_now().await;
    }
    assert_eq!(get::<Row>(&backend, "row:a").await, None);
}

static IN_DROP: Mutex<Option<InMemoryBackend>> = Mutex::new(None);
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Uses the cache that drops it, which hangs if it is dropped under one of its locks.
#[derive(Clone, Serialize, Deserialize)]
struct Meddler(u64);

impl Drop for Meddler {
    fn drop(&mut self) {
        let backend = IN_DROP.lock().unwrap().clone();
        if let Some(backend) = backend {
            let key = format!("meddler:{}", self.0);
            let now = Clock::system().now();
            let _ = backend.try_get::<Meddler>(CacheKey::new(&self.0), now);
            let mut step = cache_kit_tests::Step::new(backend.invalidate::<Row>(&key));
            assert!(step.poll().is_ready());
            let _ = backend.len();
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl CacheEntity for Meddler {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        self.0
    }

    fn cache_prefix() -> &'static str {
        "meddler"
    }
}

#[tokio::test]
async fn an_entity_is_never_dropped_under_a_lock() {
    // moka drops removed entries some time later; it is enough here that it drops them at all.
    for (builder, least) in engines().into_iter().zip([190, 1]) {
        let backend = builder.max_entries(8).build();
        IN_DROP.lock().unwrap().replace(backend.clone());
        let before = DROPPED.load(Ordering::Relaxed);
        for n in 0..200 {
            put(&backend, &format!("meddler:{}", n % 20), Meddler(n)).await;
        }
        backend.invalidate::<Meddler>("meddler:19").await.unwrap();
        backend.clear();
        let Leased::Granted { lease, .. } = backend
            .lease::<Meddler>("meddler:1", request(Take::IfMissing))
            .await
            .unwrap()
        else {
            panic!("no lease");
        };
        backend.invalidate::<Meddler>("meddler:1").await.unwrap();
        let now = Clock::system().now();
        let fenced = backend
            .store("meddler:1", lease, entry(Meddler(1)), now)
            .await
            .unwrap();
        assert_eq!(fenced, Stored::Fenced);
        assert!(DROPPED.load(Ordering::Relaxed) >= before + least);
    }
}

#[test]
fn debug_shows_counts_and_no_value() {
    let backend = InMemoryBackend::new();
    let shown = format!("{backend:?}");
    assert!(
        shown.contains("entries: 0") && shown.contains("hits: 0"),
        "{shown}"
    );
}
