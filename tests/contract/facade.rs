//! The names of metrics: what a Prometheus sees is what the docs list.

use std::collections::BTreeMap;
use std::time::Duration;

use cache_kit::backend::{Encoded, EncodedConfig, InMemoryBackend};
use cache_kit::observability::FacadeMetrics;
use cache_kit::testing::ManualClock;
use cache_kit::{
    CacheExpander, CacheService, CacheStrategy, Error, FreshnessPolicy, OperationConfig,
    SharedFeeder,
};
use cache_kit_tests::{Gated, Row};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::shelf::{Fate, Op, Shelf};

fn recorder() -> (&'static PrometheusRecorder, PrometheusHandle) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    (Box::leak(Box::new(recorder)), handle)
}

/// What is rendered, by name and labels; histograms by their count.
fn rendered(handle: &PrometheusHandle) -> BTreeMap<String, f64> {
    handle.run_upkeep();
    let rendered = handle.render();
    let lines = rendered.lines().filter(|line| !line.starts_with('#'));
    let values = lines.filter_map(|line| line.rsplit_once(' '));
    let values = values.filter(|(name, _)| !name.contains("quantile=") && !name.contains("_sum"));
    values
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

fn service(expander: CacheExpander<InMemoryBackend>) -> CacheService<InMemoryBackend> {
    expander.with_metrics(FacadeMetrics::boxed()).into()
}

async fn get(service: &CacheService<InMemoryBackend>, database: &Gated, id: &str) {
    let mut feeder = SharedFeeder::<Row>::new(id.to_owned());
    let strategy = CacheStrategy::Refresh;
    let _ = service.execute(&mut feeder, database, strategy).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_service_does_is_counted_by_entity_and_result() {
    let (recorder, handle) = recorder();
    let _guard = metrics::set_default_local_recorder(recorder);
    let clock = ManualClock::new();
    let backend = InMemoryBackend::builder().max_entries(10_000).build();
    let expander = CacheExpander::new(backend).with_clock(clock.clock());
    let policy = FreshnessPolicy::default()
        .with_negative_ttl(Duration::from_secs(60))
        .with_stale_if_error(Duration::from_secs(60));
    let service = service(expander.with_freshness(policy));
    let database = Gated::open();
    database.set("k", 1);
    get(&service, &database, "k").await;
    get(&service, &database, "k").await;
    get(&service, &database, "secret-id").await;
    get(&service, &database, "secret-id").await;
    service.invalidate::<Row>(&"k".to_owned()).await.unwrap();

    let mut feeder = SharedFeeder::<Row>::new("k".to_owned());
    let ttl = OperationConfig::default().with_ttl(Duration::from_secs(1));
    let refresh = CacheStrategy::Refresh;
    let stored = service.execute_with_config(&mut feeder, &database, refresh, ttl);
    stored.await.unwrap();
    clock.advance(Duration::from_secs(2));
    database.fail(Some(Error::RepositoryError("away".into())));
    // Loads, fails and falls back; the next one is answered from the stale entry at once.
    get(&service, &database, "k").await;
    get(&service, &database, "k").await;

    let values = rendered(&handle);
    for (name, value) in [
        ("cache_kit_gets_total{entity=\"row\",result=\"hit\"}", 1.0),
        (
            "cache_kit_gets_total{entity=\"row\",result=\"negative\"}",
            1.0,
        ),
        ("cache_kit_gets_total{entity=\"row\",result=\"stale\"}", 1.0),
        ("cache_kit_gets_total{entity=\"row\",result=\"miss\"}", 4.0),
        ("cache_kit_loads_total{entity=\"row\",result=\"ok\"}", 2.0),
        (
            "cache_kit_loads_total{entity=\"row\",result=\"absent\"}",
            1.0,
        ),
        (
            "cache_kit_loads_total{entity=\"row\",result=\"error\"}",
            1.0,
        ),
        ("cache_kit_load_duration_seconds_count{entity=\"row\"}", 4.0),
        (
            "cache_kit_stores_total{entity=\"row\",result=\"stored\"}",
            3.0,
        ),
        (
            "cache_kit_invalidations_total{entity=\"row\",result=\"done\"}",
            1.0,
        ),
        ("cache_kit_stale_total{entity=\"row\"}", 2.0),
        (
            "cache_kit_entry_age_seconds_count{entity=\"row\",at=\"hit\"}",
            3.0,
        ),
    ] {
        assert_eq!(values.get(name), Some(&value), "{name} in {values:#?}");
    }
    assert!(values.contains_key("cache_kit_entries"), "{values:#?}");
    assert!(!handle.render().contains("secret-id"), "keys are no labels");
}

#[tokio::test(start_paused = true)]
async fn what_a_store_does_is_counted_by_command() {
    let (recorder, handle) = recorder();
    let _guard = metrics::set_default_local_recorder(recorder);
    let shelf = Shelf::default();
    let config = EncodedConfig::new().with_breaker_failures(1);
    let backend = Encoded::with_config(shelf.clone(), config);
    let service = CacheService::with_metrics(backend, FacadeMetrics::boxed());
    let database = Gated::open();
    database.set("k", 1);
    let call = async || {
        let mut feeder = SharedFeeder::<Row>::new("k".to_owned());
        let answer = service.execute(&mut feeder, &database, CacheStrategy::Refresh);
        answer.await.unwrap()
    };
    call().await;
    shelf.make(Op::Get, [Fate::Refused, Fate::Works]);
    call().await;
    shelf.make_all(Fate::Fails);
    call().await;
    let pending = service.invalidate::<Row>(&"k".to_owned()).await.unwrap();
    assert_eq!(pending, cache_kit::backend::Invalidated::Pending);
    let values = rendered(&handle);
    for name in [
        "cache_kit_backend_duration_seconds_count{operation=\"get\"}",
        "cache_kit_backend_duration_seconds_count{operation=\"lease\"}",
        "cache_kit_backend_duration_seconds_count{operation=\"store\"}",
        "cache_kit_backend_errors_total{operation=\"get\",kind=\"backend\"}",
        "cache_kit_invalidations_total{entity=\"row\",result=\"pending\"}",
    ] {
        assert!(
            values.get(name).is_some_and(|value| *value > 0.0),
            "{name} in {values:#?}"
        );
    }
    let breaker = values
        .iter()
        .find(|(name, _)| name.starts_with("cache_kit_breaker_state"));
    assert_eq!(breaker.map(|(_, state)| *state), Some(1.0), "{values:#?}");
    let pending = values
        .iter()
        .find(|(name, _)| name.starts_with("cache_kit_pending_invalidations{store="));
    assert_eq!(pending.map(|(_, count)| *count), Some(1.0), "{values:#?}");
}

/// Every name of the table in the docs is described, and nothing else is.
#[test]
fn the_docs_list_every_name() {
    let source = include_str!("../../cache-kit/src/observability/facade.rs");
    let documented = source.lines().filter_map(|line| {
        let row = line.strip_prefix("/// | `")?;
        row.split('`')
            .next()
            .filter(|name| name.starts_with("cache_kit_"))
    });
    let mut documented: Vec<&str> = documented.collect();
    let quoted = source.split('"').skip(1).step_by(2);
    let mut used: Vec<&str> = quoted
        .filter(|word| word.starts_with("cache_kit_"))
        .collect();
    documented.sort_unstable();
    used.sort_unstable();
    used.dedup();
    assert_eq!(documented, used);
    assert!(documented.len() >= 16, "{documented:?}");
}
