//! The stamps of entries, and the counters of look-ups.

use std::time::Duration;

use cache_kit::backend::{CacheBackend, InMemoryBackend, LeaseRequest, Leased, Lookup, Take};
use cache_kit::clock::Timestamp;
use cache_kit::entry::Entry;
use cache_kit::testing::ManualClock;
use cache_kit::{
    CacheEntity, CacheExpander, CacheService, CacheStrategy, InMemoryRepository, SharedFeeder,
};
use cache_kit_tests::{Row, row};
use serde::{Deserialize, Serialize};

use super::{at_hand, engines, entry, request};

const NOON: u64 = 1_000_000_000;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

async fn holding(backend: &InMemoryBackend, fresh: u64, whole: Option<u64>) {
    let take = LeaseRequest {
        now: at(NOON),
        ..request(Take::Over)
    };
    let Leased::Granted { lease, .. } = backend.lease::<Row>("row:a", take).await.unwrap() else {
        panic!("no lease");
    };
    let entry = Entry {
        created: at(NOON),
        stale_from: at(NOON + fresh),
        expires: whole.map_or(Timestamp::NEVER, |whole| at(NOON + whole)),
        ..entry(row("a", 1))
    };
    backend
        .store("row:a", lease, entry, at(NOON))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_at_hand_is_fresh_and_counted_once() {
    for builder in engines() {
        let backend = builder.build();
        let counted = || {
            let stats = backend.stats();
            (stats.hits, stats.misses)
        };
        holding(&backend, 100, Some(300)).await;
        assert!(at_hand(&backend, at(NOON + 99)).is_some());
        assert_eq!(counted(), (1, 0));
        assert!(at_hand(&backend, at(NOON + 100)).is_none());
        assert_eq!(counted(), (1, 1));
        let again = backend.get_again::<Row>("row:a", at(NOON + 100)).await;
        assert!(matches!(again.unwrap(), Lookup::Hit { fence: Some(_), .. }));
        assert_eq!(counted(), (1, 1), "the same call asks again");
        let alone = backend.get::<Row>("row:a", at(NOON + 100)).await;
        assert!(matches!(alone.unwrap(), Lookup::Hit { .. }));
        assert_eq!(counted(), (1, 2), "a stale entry is no answer");
        let _ = backend.get_many::<Row>(&["row:a", "row:b"], at(NOON)).await;
        assert_eq!(counted(), (2, 3));
        assert!(backend.get_again::<Row>("row:b", at(NOON)).await.is_ok());
        assert_eq!(counted(), (2, 3));
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Session {
    id: u64,
}

impl CacheEntity for Session {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "session"
    }

    fn cache_ttl() -> Option<Duration> {
        Some(Duration::from_secs(60))
    }

    fn cache_stale_if_error() -> Option<Duration> {
        Some(Duration::from_secs(600))
    }
}

#[tokio::test]
async fn a_stale_entry_is_one_miss_to_a_refresh() {
    for builder in engines() {
        let time = ManualClock::new();
        let expander = CacheExpander::new(builder.build()).with_clock(time.clock());
        let service = CacheService::from(expander);
        let sessions = InMemoryRepository::new();
        sessions.insert(1, Session { id: 1 });
        let read = async || {
            let mut feeder = SharedFeeder::<Session>::new(1);
            let outcome = service
                .execute(&mut feeder, &sessions, CacheStrategy::Refresh)
                .await;
            assert!(feeder.entity.is_some());
            let stats = service.backend().stats();
            (outcome.unwrap().is_hit(), stats.hits, stats.misses)
        };
        assert_eq!(read().await, (false, 0, 1));
        assert_eq!(read().await, (true, 1, 1));
        time.advance(Duration::from_secs(61));
        assert_eq!(read().await, (false, 1, 2));
        assert_eq!(read().await, (true, 2, 2));
    }
}

/// Two services over one backend, with different clocks, simulate a clock that is set back.
#[tokio::test]
async fn a_clock_that_is_set_back_makes_no_entry_live_for_ever() {
    let lifetime = Duration::from_secs(660);
    for (back, hit) in [
        (Duration::from_secs(1), true),
        (lifetime, true),
        (lifetime + Duration::from_secs(1), false),
        (lifetime * 1_000, false),
    ] {
        for builder in engines() {
            let backend = builder.build();
            let (before, after) = (ManualClock::new(), ManualClock::new());
            before.advance(back);
            let read = async |time: &ManualClock| {
                let expander = CacheExpander::new(backend.clone()).with_clock(time.clock());
                let service = CacheService::from(expander);
                let sessions = InMemoryRepository::new();
                sessions.insert(1, Session { id: 1 });
                let mut feeder = SharedFeeder::<Session>::new(1);
                let outcome = service
                    .execute(&mut feeder, &sessions, CacheStrategy::Refresh)
                    .await;
                assert!(feeder.entity.is_some());
                outcome.unwrap().is_hit()
            };
            assert!(!read(&before).await && read(&before).await);
            assert_eq!(read(&after).await, hit, "set back by {back:?}");
            assert!(read(&after).await, "loaded anew, with stamps of its own");
            after.advance(lifetime * 2);
            assert!(!read(&after).await);
        }
    }
}
