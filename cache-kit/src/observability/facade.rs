//! [`FacadeMetrics`]: a listener that counts through the crate `metrics`.

use std::time::Duration;

use ::metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use super::{CacheEvent, CacheMetrics, HitAnswer, StoreEvent, Subject};
use crate::backend::EvictionCause;
use crate::error::ErrorKind;
use crate::lease::MissReason;

/// Counts everything through the facade of the crate [`metrics`](::metrics), for Prometheus,
/// OpenTelemetry or whatever recorder the program has installed.
///
/// | name | labels | what |
/// |---|---|---|
/// | `cache_kit_gets_total` | `entity`, `result`: `hit`, `stale`, `negative`, `miss`, `error` | look-ups; `stale` while the entry is revalidated or its last load has failed |
/// | `cache_kit_loads_total` | `entity`, `result`: `ok`, `absent`, `error`, `timeout`, `panic` | rows asked of the repository |
/// | `cache_kit_load_duration_seconds` | `entity` | how long a load took, retries included |
/// | `cache_kit_shared_total` | `entity` | callers that joined another call's load |
/// | `cache_kit_stores_total` | `entity`, `result`: `stored`, `fenced`, `too_large`, `unstorable`, `failed` | loaded rows and what became of them |
/// | `cache_kit_invalidations_total` | `entity`, `result`: `done`, `pending`, `given_up` | invalidations of keys |
/// | `cache_kit_refreshes_total` | `entity`, `result`: `begun`, `elsewhere`, `skipped` | entries whose turn to be refreshed has come |
/// | `cache_kit_stale_total` | `entity` | stale entries that were served, also in place of a load that failed |
/// | `cache_kit_discarded_total` | `entity`, `reason`: `damaged`, `other_schema`, `invalid` | entries that could not be used |
/// | `cache_kit_evictions_total` | `entity`, `cause`: `capacity`, `idle` | entries that memory dropped |
/// | `cache_kit_entry_age_seconds` | `entity`, `at`: `hit`, `evicted` | how old entries are |
/// | `cache_kit_entries` | | entries in memory, as of the last store, at most once a second |
/// | `cache_kit_backend_duration_seconds` | `operation`: `get`, `lease`, `store`, `release`, `invalidate`, `scan` | commands of a remote store |
/// | `cache_kit_backend_errors_total` | `operation`, `kind` | commands that failed or were refused |
/// | `cache_kit_pending_invalidations` | `store` | invalidations that wait for the store, named by its first server |
/// | `cache_kit_breaker_state` | `node` | 1 while nothing is sent to a server, 0 since it has answered again |
///
/// The label `entity` is the prefix, never a key; `unknown` where a key came as text. A batch counts
/// once for each of its keys, and a command of a store once. The two gauges of a remote store appear
/// with the first trouble. Of several services over one backend, give it to one: the backend tells each
/// of their listeners. Of several backends in memory, `cache_kit_entries` has the last one that told.
///
/// ```
/// use cache_kit::CacheService;
/// use cache_kit::backend::InMemoryBackend;
/// use cache_kit::observability::FacadeMetrics;
///
/// // After the recorder has been installed:
/// let cache = CacheService::with_metrics(InMemoryBackend::new(), FacadeMetrics::boxed());
/// # let _ = cache;
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct FacadeMetrics {
    _private: (),
}

const UNKNOWN: &str = "unknown";

impl FacadeMetrics {
    /// The listener. Install the recorder first: it is told here what each name means.
    pub fn new() -> Self {
        describe();
        Self::default()
    }

    /// The listener, as services take it.
    pub fn boxed() -> Box<dyn CacheMetrics> {
        Box::new(Self::new())
    }
}

impl CacheMetrics for FacadeMetrics {
    fn record(&self, subject: &Subject<'_>, event: &CacheEvent) {
        let entity = subject.prefix.unwrap_or(UNKNOWN);
        let count = |name: &'static str, result: &'static str| {
            counter!(name, "entity" => entity, "result" => result).increment(1);
        };
        match event {
            CacheEvent::Hit { answer, age, .. } => {
                let result = match answer {
                    HitAnswer::Fresh => "hit",
                    HitAnswer::Stale => "stale",
                    HitAnswer::Absent => "negative",
                };
                count("cache_kit_gets_total", result);
                record_age(entity, "hit", *age);
            }
            CacheEvent::Miss { .. } => count("cache_kit_gets_total", "miss"),
            CacheEvent::Loaded { found, duration } => {
                count(
                    "cache_kit_loads_total",
                    if *found { "ok" } else { "absent" },
                );
                record_load(entity, *duration);
            }
            CacheEvent::LoadFailed { kind, duration, .. } => {
                let result = match kind {
                    ErrorKind::Timeout => "timeout",
                    ErrorKind::Panicked => "panic",
                    _ => "error",
                };
                count("cache_kit_loads_total", result);
                record_load(entity, *duration);
            }
            CacheEvent::Shared => {
                counter!("cache_kit_shared_total", "entity" => entity).increment(1)
            }
            CacheEvent::Stored { .. } => count("cache_kit_stores_total", "stored"),
            CacheEvent::Fenced => count("cache_kit_stores_total", "fenced"),
            CacheEvent::TooLarge => count("cache_kit_stores_total", "too_large"),
            CacheEvent::Unstorable { .. } => count("cache_kit_stores_total", "unstorable"),
            CacheEvent::NotStored => count("cache_kit_stores_total", "failed"),
            CacheEvent::Invalidated { .. } => count("cache_kit_invalidations_total", "done"),
            CacheEvent::InvalidationPending => count("cache_kit_invalidations_total", "pending"),
            CacheEvent::InvalidationGivenUp => count("cache_kit_invalidations_total", "given_up"),
            CacheEvent::Refreshing { .. } => count("cache_kit_refreshes_total", "begun"),
            CacheEvent::RefreshedElsewhere => count("cache_kit_refreshes_total", "elsewhere"),
            CacheEvent::RefreshSkipped => count("cache_kit_refreshes_total", "skipped"),
            CacheEvent::StaleServed => {
                counter!("cache_kit_stale_total", "entity" => entity).increment(1);
            }
            CacheEvent::Discarded { reason } => {
                let reason = match reason {
                    MissReason::OtherSchema => "other_schema",
                    MissReason::Invalid => "invalid",
                    _ => "damaged",
                };
                counter!("cache_kit_discarded_total", "entity" => entity, "reason" => reason)
                    .increment(1);
            }
            CacheEvent::Evicted { cause, age } => {
                let cause = match cause {
                    EvictionCause::Capacity => "capacity",
                    EvictionCause::Idle => "idle",
                };
                counter!("cache_kit_evictions_total", "entity" => entity, "cause" => cause)
                    .increment(1);
                record_age(entity, "evicted", *age);
            }
            CacheEvent::Failed {
                operation: "get", ..
            } => count("cache_kit_gets_total", "error"),
            // Other failures of the store are counted by command, and retries are part of a load.
            CacheEvent::Failed { .. } | CacheEvent::Retried { .. } => {}
        }
    }

    fn record_store(&self, event: &StoreEvent) {
        match event {
            StoreEvent::Command {
                operation,
                duration,
                failed,
            } => {
                histogram!("cache_kit_backend_duration_seconds", "operation" => *operation)
                    .record(*duration);
                if let Some(kind) = failed {
                    let kind = kind.as_str();
                    counter!("cache_kit_backend_errors_total", "operation" => *operation, "kind" => kind)
                        .increment(1);
                }
            }
            StoreEvent::BreakerOpened { node, .. } => breaker(node, 1.0),
            StoreEvent::BreakerClosed { node } => breaker(node, 0.0),
            StoreEvent::PendingInvalidations { store, count } => {
                gauge!("cache_kit_pending_invalidations", "store" => store.clone())
                    .set(as_gauge(u64::try_from(*count).unwrap_or(u64::MAX)));
            }
            StoreEvent::Entries { count } => gauge!("cache_kit_entries").set(as_gauge(*count)),
            // Part of their command.
            StoreEvent::Failed { .. }
            | StoreEvent::Refused { .. }
            | StoreEvent::Recovered { .. } => {}
        }
    }
}

fn record_age(entity: &'static str, at: &'static str, age: Duration) {
    histogram!("cache_kit_entry_age_seconds", "entity" => entity, "at" => at).record(age);
}

fn record_load(entity: &'static str, duration: Duration) {
    histogram!("cache_kit_load_duration_seconds", "entity" => entity).record(duration);
}

fn breaker(node: &str, state: f64) {
    gauge!("cache_kit_breaker_state", "node" => node.to_owned()).set(state);
}

/// A gauge is a float; above 2⁵³ it is rounded.
fn as_gauge(count: u64) -> f64 {
    count as f64
}

fn describe() {
    describe_counter!("cache_kit_gets_total", "Look-ups, by what they found.");
    describe_counter!(
        "cache_kit_loads_total",
        "Rows asked of the repository, by how that ended."
    );
    describe_histogram!(
        "cache_kit_load_duration_seconds",
        Unit::Seconds,
        "How long a load took, retries included."
    );
    describe_counter!(
        "cache_kit_shared_total",
        "Callers that joined another call's load."
    );
    describe_counter!(
        "cache_kit_stores_total",
        "Loaded rows, by whether they were stored."
    );
    describe_counter!(
        "cache_kit_invalidations_total",
        "Invalidations of keys, by whether the store has confirmed them."
    );
    describe_counter!(
        "cache_kit_refreshes_total",
        "Entries whose turn to be refreshed has come, by who does it."
    );
    describe_counter!("cache_kit_stale_total", "Stale entries that were served.");
    describe_counter!(
        "cache_kit_discarded_total",
        "Entries that could not be used, by reason."
    );
    describe_counter!(
        "cache_kit_evictions_total",
        "Entries that memory dropped, by cause."
    );
    describe_histogram!(
        "cache_kit_entry_age_seconds",
        Unit::Seconds,
        "How old entries are when they answer, and when they are dropped."
    );
    describe_gauge!("cache_kit_entries", "Entries in memory.");
    describe_histogram!(
        "cache_kit_backend_duration_seconds",
        Unit::Seconds,
        "How long a command of the store took."
    );
    describe_counter!(
        "cache_kit_backend_errors_total",
        "Commands of the store that failed or were refused, by kind of error."
    );
    describe_gauge!(
        "cache_kit_pending_invalidations",
        "Invalidations that wait for the store."
    );
    describe_gauge!(
        "cache_kit_breaker_state",
        "1 while nothing is sent to a server of the store, else 0."
    );
}
