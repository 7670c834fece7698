//! [`CacheMetrics`]: a listener to everything a service does.

use std::time::Duration;

use crate::lease::MissReason;

/// Listens to everything a service does. Every method has an empty default.
///
/// `key` is the whole cache key, `user:42`. The methods are called in the middle of a request:
/// count, do not wait.
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
pub trait CacheMetrics: Send + Sync {
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
    /// duration is zero. Called once, when the service is made.
    fn wants_durations(&self) -> bool {
        true
    }
}

/// An event for [`CacheMetrics::record_event`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheEvent {
    /// The repository answered.
    Loaded {
        /// How long it took, retries included; zero if durations are not wanted.
        duration: Duration,
    },
    /// The call joined another call's load.
    Shared,
    /// A load failed and is retried.
    Retried {
        /// Which retry it is, from 1.
        retry: u32,
    },
    /// A loaded entity was not stored, because the key was invalidated or stored meanwhile.
    Fenced,
    /// A loaded entity was larger than the store takes.
    TooLarge,
    /// A loaded entity was not sent to the store, because it could not be read back as it is.
    Unstorable {
        /// The Rust name of its type.
        entity: &'static str,
        /// Why: the path of the field if it is known, never a value.
        reason: String,
    },
    /// A stale entry was served.
    StaleServed,
    /// A call has begun to refresh an entry, which is answered meanwhile.
    Refreshing {
        /// Whether it was still within its time to live.
        ahead: bool,
    },
    /// An entry was to be refreshed, but another process is doing so.
    RefreshedElsewhere,
    /// An entry was not refreshed in the background, because as much is going on there as is allowed
    /// ([`CacheExpander::with_background_tasks`](crate::CacheExpander::with_background_tasks)), the
    /// service has been drained, or there is no runtime.
    RefreshSkipped,
    /// An invalidation has not been confirmed and will be sent again.
    InvalidationPending,
    /// The store has refused an invalidation for too long, and it is not sent any more: the old
    /// value may be served until its own time to live ends.
    InvalidationGivenUp,
    /// The look-up found something that is not an entry of this key, an entry of another schema, or
    /// an entity that fails its validation. It counts as a miss, and the next load overwrites it.
    Discarded {
        /// [`MissReason::Damaged`], [`MissReason::OtherSchema`] or [`MissReason::Invalid`].
        reason: MissReason,
    },
}
