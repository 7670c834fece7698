//! Reports events to the user's [`CacheMetrics`].
//!
//! A listener that panics loses that event. It does not affect loads or answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::observability::{CacheEvent, CacheMetrics};
use crate::unwind::caught;

pub(super) struct Listener {
    metrics: Arc<dyn CacheMetrics>,
    wants_durations: bool,
}

impl Listener {
    pub(super) fn new(metrics: Arc<dyn CacheMetrics>) -> Self {
        let wants_durations = metrics.wants_durations();
        Self {
            metrics,
            wants_durations,
        }
    }

    pub(super) fn stopwatch(&self) -> Option<Instant> {
        self.wants_durations.then(Instant::now)
    }

    pub(super) fn hit(&self, key: &str, since: Option<Instant>) {
        self.notify(|metrics| metrics.record_hit(key, elapsed(since)));
    }

    pub(super) fn miss(&self, key: &str, since: Option<Instant>) {
        self.notify(|metrics| metrics.record_miss(key, elapsed(since)));
    }

    pub(super) fn stored(&self, key: &str, since: Option<Instant>) {
        self.notify(|metrics| metrics.record_set(key, elapsed(since)));
    }

    pub(super) fn invalidated(&self, key: &str, since: Option<Instant>) {
        self.notify(|metrics| metrics.record_delete(key, elapsed(since)));
    }

    pub(super) fn error(&self, key: &str, error: &Error) {
        self.notify(|metrics| metrics.record_error(key, &error.to_string()));
    }

    pub(super) fn event(&self, key: &str, event: &CacheEvent) {
        self.notify(|metrics| metrics.record_event(key, event));
    }

    fn notify(&self, what: impl FnOnce(&dyn CacheMetrics)) {
        // The panic hook has reported it.
        let _ = caught(|| what(&*self.metrics));
    }
}

fn elapsed(since: Option<Instant>) -> Duration {
    since.map_or(Duration::ZERO, |since| since.elapsed())
}
