//! Hands what happens to the user's [`CacheMetrics`].
//!
//! A listener that panics loses what it was told, and decides nothing: neither who loads nor who is
//! answered.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::observability::{CacheEvent, CacheMetrics};

pub(super) struct Listener {
    metrics: Box<dyn CacheMetrics>,
    wants_durations: bool,
}

impl Listener {
    pub(super) fn new(metrics: Box<dyn CacheMetrics>) -> Self {
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
        self.tell(|metrics| metrics.record_hit(key, elapsed(since)));
    }

    pub(super) fn miss(&self, key: &str, since: Option<Instant>) {
        self.tell(|metrics| metrics.record_miss(key, elapsed(since)));
    }

    pub(super) fn stored(&self, key: &str, since: Option<Instant>) {
        self.tell(|metrics| metrics.record_set(key, elapsed(since)));
    }

    pub(super) fn invalidated(&self, key: &str, since: Option<Instant>) {
        self.tell(|metrics| metrics.record_delete(key, elapsed(since)));
    }

    pub(super) fn error(&self, key: &str, error: &Error) {
        self.tell(|metrics| metrics.record_error(key, &error.to_string()));
    }

    pub(super) fn event(&self, key: &str, event: &CacheEvent) {
        self.tell(|metrics| metrics.record_event(key, event));
    }

    fn tell(&self, what: impl FnOnce(&dyn CacheMetrics)) {
        // The panic hook has told of it.
        let _ = catch_unwind(AssertUnwindSafe(|| what(&*self.metrics)));
    }
}

fn elapsed(since: Option<Instant>) -> Duration {
    since.map_or(Duration::ZERO, |since| since.elapsed())
}
