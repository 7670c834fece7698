//! Which setting decides how long an entry lives.

use std::time::Duration;

use cache_kit::backend::InMemoryBackend;
use cache_kit::observability::{StoreResult, TtlPolicy};
use cache_kit::testing::{CountingRepository, ManualClock};
use cache_kit::{
    CacheEntity, CacheExpander, CacheStrategy, GenericFeeder, InMemoryRepository, OperationConfig,
};
use serde::{Deserialize, Serialize};

/// Has a time to live of 30 s of its own.
#[derive(Clone, Serialize, Deserialize)]
struct Session {
    id: u32,
}

impl CacheEntity for Session {
    type Key = u32;

    fn cache_key(&self) -> u32 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "session"
    }

    fn cache_ttl() -> Option<Duration> {
        Some(Duration::from_secs(30))
    }
}

const CALL: Option<Duration> = Some(Duration::from_secs(10));

/// How long an entry that was stored in this way is served, in seconds; `None` is for ever.
async fn lives(
    call: Option<Duration>,
    policy: TtlPolicy,
    backend: Option<Duration>,
) -> Option<Duration> {
    let mut builder = InMemoryBackend::builder();
    if let Some(ttl) = backend {
        builder = builder.default_ttl(ttl);
    }
    let time = ManualClock::new();
    let expander = CacheExpander::new(builder.build())
        .with_ttl_policy(policy)
        .with_clock(time.clock());
    let rows = InMemoryRepository::new();
    rows.insert(1, Session { id: 1 });
    let rows = CountingRepository::new(rows);
    let mut feeder = GenericFeeder::<Session>::new(1);
    let config = call.map_or_else(OperationConfig::default, |ttl| {
        OperationConfig::default().with_ttl(ttl)
    });
    expander
        .with_config(&mut feeder, &rows, CacheStrategy::Refresh, config)
        .await
        .unwrap();
    let begun = time.now();
    for _ in 0..100 {
        let outcome = expander
            .with(&mut feeder, &rows, CacheStrategy::Fresh)
            .await
            .unwrap();
        let age = time.now().since(begun);
        if !outcome.is_hit() {
            assert_eq!(rows.queries(), 1);
            return Some(age);
        }
        assert_eq!(outcome.age(), Some(age));
        time.advance(Duration::from_secs(1));
    }
    None
}

#[tokio::test]
async fn the_call_then_the_policy_then_the_entity_then_the_backend() {
    let seconds = |n| Some(Duration::from_secs(n));
    let fixed = TtlPolicy::Fixed(Duration::from_secs(20));
    assert_eq!(lives(CALL, fixed.clone(), seconds(40)).await, seconds(10));
    assert_eq!(lives(None, fixed, seconds(40)).await, seconds(20));
    assert_eq!(
        lives(None, TtlPolicy::Default, seconds(40)).await,
        seconds(30)
    );
    let by_type = TtlPolicy::PerType(|kind| {
        assert_eq!(kind, "session");
        Duration::from_secs(5)
    });
    assert_eq!(lives(None, by_type, None).await, seconds(5));
    assert_eq!(lives(None, TtlPolicy::Infinite, seconds(40)).await, None);
    assert_eq!(
        lives(Some(Duration::MAX), TtlPolicy::Default, seconds(40)).await,
        None
    );
}

#[tokio::test]
async fn the_backends_default_is_for_types_that_say_nothing() {
    let time = ManualClock::new();
    let backend = InMemoryBackend::builder()
        .default_ttl(Duration::from_secs(40))
        .build();
    let expander = CacheExpander::new(backend).with_clock(time.clock());
    let database = cache_kit_tests::Gated::open();
    database.set("a", 1);
    let mut feeder = GenericFeeder::<cache_kit_tests::Row>::new("a".to_owned());
    expander
        .with(&mut feeder, &database, CacheStrategy::Refresh)
        .await
        .unwrap();
    time.advance(Duration::from_millis(39_999));
    assert!(
        expander
            .with(&mut feeder, &database, CacheStrategy::Fresh)
            .await
            .unwrap()
            .is_hit()
    );
    time.advance(Duration::from_millis(1));
    assert!(
        !expander
            .with(&mut feeder, &database, CacheStrategy::Fresh)
            .await
            .unwrap()
            .is_hit()
    );
}

#[tokio::test]
async fn a_time_to_live_of_zero_stores_nothing_and_holds_nothing() {
    let expander = CacheExpander::new(InMemoryBackend::new());
    let rows = InMemoryRepository::new();
    rows.insert(1, Session { id: 1 });
    let mut feeder = GenericFeeder::<Session>::new(1);
    let never = OperationConfig::default().with_ttl(Duration::ZERO);
    for strategy in [
        CacheStrategy::Refresh,
        CacheStrategy::Bypass,
        CacheStrategy::Invalidate,
    ] {
        let outcome = expander
            .with_config(&mut feeder, &rows, strategy, never)
            .await
            .unwrap();
        assert_eq!(outcome.store(), StoreResult::NotTried);
        assert!(feeder.data.take().is_some());
        assert!(expander.backend().is_empty());
    }
}
