//! [`CacheMetrics`]: a listener to everything a service does.

use std::time::Duration;

use super::{CacheEvent, StoreEvent, Subject};

/// Listens to everything a service does. Every method has a default.
///
/// [`record`](Self::record) hears every event, with all that is known of its key. By default it calls
/// one of the methods below it, so a listener implements either `record`, or those that it needs.
/// `key` is the whole cache key, `user:42`. The methods are called in the middle of a request: count,
/// do not wait. One that panics loses that event; the call goes on.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::time::Duration;
/// use cache_kit::observability::CacheMetrics;
///
/// #[derive(Default)]
/// struct Hits(AtomicU64);
///
/// impl CacheMetrics for Hits {
///     fn record_hit(&self, _key: &str, _duration: Duration) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
/// }
/// ```
///
/// By entity, without a look at the key:
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::Mutex;
/// use cache_kit::observability::{CacheEvent, CacheMetrics, Subject};
///
/// #[derive(Default)]
/// struct Misses(Mutex<HashMap<&'static str, u64>>);
///
/// impl CacheMetrics for Misses {
///     fn record(&self, subject: &Subject<'_>, event: &CacheEvent) {
///         if let (CacheEvent::Miss { .. }, Some(prefix)) = (event, subject.prefix) {
///             *self.0.lock().unwrap().entry(prefix).or_default() += 1;
///         }
///     }
/// }
/// ```
pub trait CacheMetrics: Send + Sync {
    /// Something happened to a key. By default calls the method for it.
    fn record(&self, subject: &Subject<'_>, event: &CacheEvent) {
        let key = subject.key;
        match event {
            CacheEvent::Hit { duration, .. } => self.record_hit(key, *duration),
            CacheEvent::Miss { duration } => self.record_miss(key, *duration),
            CacheEvent::Stored { duration } => self.record_set(key, *duration),
            CacheEvent::Invalidated { duration } => self.record_delete(key, *duration),
            CacheEvent::Failed { error, .. } | CacheEvent::LoadFailed { error, .. } => {
                self.record_error(key, error);
            }
            event => self.record_event(key, event),
        }
    }

    /// Something happened to the store. By default does nothing.
    fn record_store(&self, event: &StoreEvent) {
        let _ = event;
    }

    /// The cache answered for `key`, `duration` after it was asked.
    fn record_hit(&self, key: &str, duration: Duration) {
        let _ = (key, duration);
    }

    /// The cache had no answer for `key`, `duration` after it was asked.
    fn record_miss(&self, key: &str, duration: Duration) {
        let _ = (key, duration);
    }

    /// An entity was stored under `key`; the store took `duration`.
    fn record_set(&self, key: &str, duration: Duration) {
        let _ = (key, duration);
    }

    /// `key` was invalidated, which took `duration`.
    fn record_delete(&self, key: &str, duration: Duration) {
        let _ = (key, duration);
    }

    /// The backend or the repository failed for `key`.
    fn record_error(&self, key: &str, error: &str) {
        let _ = (key, error);
    }

    /// Any event that has no method of its own.
    fn record_event(&self, key: &str, event: &CacheEvent) {
        let _ = (key, event);
    }

    /// Whether durations are wanted. Each costs two reads of a precise clock. With `false`, every
    /// duration is zero. Called once, when the listener is handed over.
    fn wants_durations(&self) -> bool {
        true
    }
}
