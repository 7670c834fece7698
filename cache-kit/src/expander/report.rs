//! [`Reports`]: tells the user's [`CacheMetrics`] and the log what happens.
//!
//! A listener that panics loses that event. It does not affect loads or answers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::backend::CacheBackend;
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::error::Error;
use crate::observability::{CacheEvent, CacheMetrics, HitAnswer, Outcome, StoreEvent, Subject};
use crate::strategy::CacheStrategy;
use crate::trace::Log;
use crate::unwind::caught;

use super::CacheExpander;

/// How often the number of entries is told at most, in milliseconds.
const ENTRIES_TOLD: u64 = 1_000;

#[derive(Default)]
pub(super) struct Reports {
    listeners: Vec<Arc<dyn CacheMetrics>>,
    wants_durations: bool,
    pub(super) log: Log,
    /// Whether spans show keys.
    pub(super) shows_keys: bool,
    /// When the number of entries was told, in milliseconds of the expander's clock.
    entries_told: AtomicU64,
}

impl Reports {
    pub(super) fn add(&mut self, listener: Arc<dyn CacheMetrics>) {
        self.wants_durations |= listener.wants_durations();
        self.listeners.push(listener);
    }

    /// Whether there is a listener.
    #[inline]
    pub(super) fn is_heard(&self) -> bool {
        !self.listeners.is_empty()
    }

    /// A precise clock, read only if a listener wants durations.
    #[inline]
    pub(super) fn stopwatch(&self) -> Option<Instant> {
        self.wants_durations.then(Instant::now)
    }

    pub(super) fn tell(&self, subject: &Subject<'_>, event: &CacheEvent) {
        self.log.key(subject, event);
        self.notify(|listener| listener.record(subject, event));
    }

    fn notify(&self, what: impl Fn(&dyn CacheMetrics)) {
        for listener in &self.listeners {
            // The panic hook has reported it.
            let _ = caught(|| what(&**listener));
        }
    }

    /// Tells how many entries there are, if that was not done lately.
    fn tell_entries(&self, now: Timestamp, count: impl FnOnce() -> Option<u64>) {
        let now = now.as_millis();
        let told = self.entries_told.load(Ordering::Relaxed);
        // A clock of tests may have been set back.
        if now.abs_diff(told) >= ENTRIES_TOLD
            && let Some(count) = count()
        {
            self.entries_told.store(now, Ordering::Relaxed);
            self.notify(|listener| listener.record_store(&StoreEvent::Entries { count }));
        }
    }
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reports")
            .field("listeners", &self.listeners.len())
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

/// Which call an event belongs to.
#[derive(Clone, Copy)]
pub(super) struct Of {
    prefix: Option<&'static str>,
    strategy: Option<CacheStrategy>,
}

impl Of {
    /// A call for entities of type `T`.
    pub(super) fn call<T: CacheEntity>(strategy: CacheStrategy) -> Self {
        Self {
            prefix: Some(T::cache_prefix()),
            strategy: Some(strategy),
        }
    }

    /// A call without a strategy.
    pub(super) fn entity<T: CacheEntity>() -> Self {
        Self {
            prefix: Some(T::cache_prefix()),
            strategy: None,
        }
    }

    pub(super) fn prefix(self) -> Option<&'static str> {
        self.prefix
    }

    /// A key that came as text.
    pub(super) fn text() -> Self {
        Self {
            prefix: None,
            strategy: None,
        }
    }
}

impl<B: CacheBackend> CacheExpander<B> {
    /// What an event of a call is about.
    pub(super) fn subject<'e>(&'e self, of: Of, key: &'e str) -> Subject<'e> {
        Subject {
            key,
            namespace: self.namespace.as_ref().map(|name| name.as_str()),
            prefix: of.prefix,
            strategy: of.strategy,
        }
    }

    pub(super) fn tell(&self, of: Of, key: &str, event: &CacheEvent) {
        self.reports.tell(&self.subject(of, key), event);
    }

    /// The backend failed.
    pub(super) fn tell_failure(&self, of: Of, key: &str, operation: &'static str, error: &Error) {
        if self.reports.is_heard() {
            let event = CacheEvent::Failed {
                operation,
                kind: error.kind(),
                error: error.to_string(),
            };
            self.tell(of, key, &event);
        }
    }

    /// The cache answered, with an entity or an absence.
    pub(super) fn tell_hit(
        &self,
        of: Of,
        key: &str,
        found: bool,
        outcome: Outcome,
        since: Option<Instant>,
    ) {
        if self.reports.is_heard() {
            let event = CacheEvent::Hit {
                answer: HitAnswer::of(found, outcome.is_stale()),
                age: outcome.age().unwrap_or_default(),
                duration: elapsed(since),
            };
            self.tell(of, key, &event);
        }
    }

    /// The cache had no answer.
    pub(super) fn tell_miss(&self, of: Of, key: &str, since: Option<Instant>) {
        let duration = elapsed(since);
        self.tell(of, key, &CacheEvent::Miss { duration });
    }

    /// The key was invalidated.
    pub(super) fn tell_invalidated(&self, of: Of, key: &str, since: Option<Instant>) {
        let duration = elapsed(since);
        self.tell(of, key, &CacheEvent::Invalidated { duration });
    }

    /// An entry was stored.
    pub(super) fn tell_stored(&self, of: Of, key: &str, since: Option<Instant>) {
        if self.reports.is_heard() {
            let duration = elapsed(since);
            self.tell(of, key, &CacheEvent::Stored { duration });
            let now = self.clock.now();
            self.reports.tell_entries(now, || self.backend.entries());
        }
    }
}

pub(super) fn elapsed(since: Option<Instant>) -> Duration {
    since.map_or(Duration::ZERO, |since| since.elapsed())
}
