//! No value of any setting panics.

use std::time::Duration;

use cache_kit::backend::{InMemoryBackend, InMemoryBuilder};
use cache_kit::observability::TtlPolicy;
use cache_kit::{
    CacheExpander, CacheService, CacheStrategy, InMemoryRepository, OperationConfig, Result,
    SharedFeeder, Source,
};
use cache_kit_tests::{Row, row};

use super::engines;

const DURATIONS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_secs(1_000 * 365 * 24 * 3_600 + 1),
    Duration::from_secs(u64::MAX / 2_000),
    Duration::MAX,
];

const STRATEGIES: [CacheStrategy; 4] = [
    CacheStrategy::Refresh,
    CacheStrategy::Fresh,
    CacheStrategy::Bypass,
    CacheStrategy::Invalidate,
];

/// Reads some keys, some of them twice, with every strategy.
async fn used(expander: CacheExpander<InMemoryBackend>, config: OperationConfig) -> Vec<Source> {
    let service = CacheService::from(expander);
    let rows = InMemoryRepository::new();
    for n in 0..20 {
        rows.insert(n.to_string(), row(&n.to_string(), n));
    }
    let mut sources = Vec::new();
    for strategy in STRATEGIES {
        for n in [0, 1, 1, 30] {
            let mut feeder = SharedFeeder::<Row>::new(n.to_string());
            let answer: Result<_> = service
                .execute_with_config(&mut feeder, &rows, strategy, config)
                .await;
            sources.extend(answer.ok().map(|outcome| outcome.source()));
        }
    }
    let _ = format!("{service:?}");
    service.backend().clear();
    sources
}

async fn built(builder: InMemoryBuilder) -> Vec<Source> {
    let _ = format!("{builder:?}");
    used(
        CacheExpander::new(builder.build()),
        OperationConfig::default(),
    )
    .await
}

#[tokio::test]
async fn of_the_builder() {
    let answered = 4 * STRATEGIES.len();
    for n in [0, 1, 2, 127, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
        for builder in engines() {
            assert_eq!(built(builder.max_entries(n)).await.len(), answered);
        }
        for weight in [0, 1, u64::from(u32::MAX) + 1, u64::MAX] {
            for builder in engines() {
                let builder = builder.max_weight(n, move |_| weight);
                assert_eq!(built(builder).await.len(), answered);
            }
        }
    }
    for duration in DURATIONS {
        for builder in engines() {
            assert_eq!(built(builder.default_ttl(duration)).await.len(), answered);
        }
        for builder in engines() {
            assert_eq!(built(builder.time_to_idle(duration)).await.len(), answered);
        }
    }
}

#[tokio::test]
async fn of_the_expander_and_of_a_call() {
    let plain = OperationConfig::default();
    for duration in DURATIONS {
        let expander = || CacheExpander::new(InMemoryBackend::new());
        let _ = used(expander().with_load_deadline(duration), plain).await;
        let _ = used(expander().with_lease_wait(duration), plain).await;
        let policy = TtlPolicy::Fixed(duration);
        assert_eq!(
            used(expander().with_ttl_policy(policy), plain).await.len(),
            16
        );
        assert_eq!(used(expander(), plain.with_ttl(duration)).await.len(), 16);
        let _ = used(expander(), plain.with_load_deadline(duration)).await;
        assert_eq!(used(expander(), plain.with_retry(u32::MAX)).await.len(), 16);
    }
}
