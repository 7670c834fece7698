//! Code of an entity that panics while an entry is written or read: one call may fail, and the next
//! ones find the store unchanged.

use std::cell::Cell;

use cache_kit::backend::{CacheBackend, Encoded, Lookup, MissReason};
use cache_kit::clock::Clock;
use cache_kit::observability::StoreResult;
use cache_kit::{
    CacheEntity, CacheService, CacheStrategy, InMemoryRepository, Outcome, Result, SharedFeeder,
    Source,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::byte_store::MapStore;

thread_local! {
    /// Which code panics. Every test has its own thread and runtime.
    static PANICS: Cell<Option<Code>> = const { Cell::new(None) };
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Code {
    Serialize,
    Deserialize,
    Validate,
}

fn run(code: Code) {
    assert_ne!(PANICS.get(), Some(code), "user code that cannot go on");
}

#[derive(Clone)]
struct Moody(u64);

impl Serialize for Moody {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        run(Code::Serialize);
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Moody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let id = u64::deserialize(deserializer)?;
        run(Code::Deserialize);
        Ok(Self(id))
    }
}

impl CacheEntity for Moody {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        self.0
    }

    fn cache_prefix() -> &'static str {
        "moody"
    }

    fn cache_validate(&self) -> Result<()> {
        run(Code::Validate);
        Ok(())
    }
}

type Service = CacheService<Encoded<MapStore>>;

async fn read(service: &Service) -> Outcome {
    let moods = InMemoryRepository::new();
    moods.insert(1, Moody(1));
    let mut feeder = SharedFeeder::<Moody>::new(1);
    let outcome = service
        .execute(&mut feeder, &moods, CacheStrategy::Refresh)
        .await
        .unwrap();
    assert_eq!(feeder.entity.unwrap().0, 1);
    outcome
}

fn service() -> Service {
    CacheService::new(Encoded::over(MapStore::default()))
}

#[tokio::test]
async fn an_entity_that_panics_when_it_is_written_leaves_no_lease() {
    let service = service();
    PANICS.set(Some(Code::Serialize));
    for _ in 0..3 {
        let outcome = read(&service).await;
        assert_eq!(outcome.source(), Source::Repository);
        assert_eq!(outcome.store(), StoreResult::Failed);
        let now = Clock::system().now();
        match service.backend().get::<Moody>("moody:1", now).await {
            Ok(Lookup::Miss { fence: None, .. }) => {}
            Ok(Lookup::Miss { fence, .. }) => panic!("a lease is left: {fence:?}"),
            Ok(Lookup::Hit { .. }) => panic!("stored"),
            Err(error) => panic!("{error}"),
        }
    }
    PANICS.set(None);
    assert_eq!(read(&service).await.store(), StoreResult::Stored);
    assert_eq!(read(&service).await.source(), Source::Cache);
}

#[tokio::test]
async fn an_entry_that_panics_when_it_is_read_is_a_miss() {
    for (code, wanted) in [
        (Code::Deserialize, MissReason::OtherSchema),
        (Code::Validate, MissReason::Invalid),
    ] {
        let service = service();
        read(&service).await;
        PANICS.set(Some(code));
        let now = Clock::system().now();
        let many = ["moody:1", "moody:2"];
        let found = service.backend().get_many::<Moody>(&many, now).await;
        let reason = |found| match found {
            Ok(Lookup::Miss { reason, .. }) => reason,
            _ => panic!("no miss"),
        };
        let reasons: Vec<_> = found.into_iter().map(reason).collect();
        assert_eq!(reasons, [wanted, MissReason::Absent]);
        if code == Code::Deserialize {
            for _ in 0..3 {
                let outcome = read(&service).await;
                assert_eq!(outcome.source(), Source::Repository);
                // What cannot be read back is not stored.
                assert_eq!(outcome.store(), StoreResult::Failed);
            }
        }
        PANICS.set(None);
        if code == Code::Deserialize {
            assert_eq!(read(&service).await.store(), StoreResult::Stored);
        }
        assert_eq!(read(&service).await.source(), Source::Cache);
    }
}
