//! Tells the listeners and the log what happens to a store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::Instant;

use super::Shared;
use super::again::Account;
use super::state::News;
use crate::backend::remote::byte_store::ByteStore;
use crate::observability::{CacheEvent, CacheMetrics, StoreEvent, Subject};
use crate::trace::Log;
use crate::unwind::caught;

// What a command does for its caller.
pub(super) const GET: &str = "get";
pub(super) const LEASE: &str = "lease";
pub(super) const STORE: &str = "store";
pub(super) const RELEASE: &str = "release";
pub(super) const SCAN: &str = "scan";
pub(super) const INVALIDATE: &str = "invalidate";

/// Who is told.
#[derive(Default)]
pub(super) struct Told {
    listeners: Mutex<Vec<Weak<dyn CacheMetrics>>>,
    /// Whether there has been a listener. Without one, a command takes no lock to tell of it.
    listens: AtomicBool,
    wants_durations: AtomicBool,
    log: Log,
}

impl Told {
    pub(super) fn watch(&self, listener: Weak<dyn CacheMetrics>) {
        let wants = (listener.upgrade()).is_some_and(|listener| listener.wants_durations());
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(listener);
        drop(listeners);
        self.wants_durations.fetch_or(wants, Ordering::Relaxed);
        self.listens.store(true, Ordering::Release);
    }

    /// A precise clock, read only if a listener wants durations.
    pub(super) fn stopwatch(&self) -> Option<Instant> {
        let wants = self.wants_durations.load(Ordering::Relaxed);
        wants.then(Instant::now)
    }

    /// A command that was sent has ended.
    pub(super) fn command(
        &self,
        operation: &'static str,
        since: Option<Instant>,
        told: &Account<'_>,
    ) {
        if !self.listens.load(Ordering::Acquire) {
            return;
        }
        let failed = told.failure.or(told.refusal);
        self.notify(&StoreEvent::Command {
            operation,
            duration: since.map_or_else(Default::default, |since| since.elapsed()),
            failed: failed.map(|error| error.kind()),
        });
    }

    fn notify(&self, event: &StoreEvent) {
        self.each(|listener| listener.record_store(event));
    }

    fn each(&self, what: impl Fn(&dyn CacheMetrics)) {
        if !self.listens.load(Ordering::Acquire) {
            return;
        }
        let listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let listeners = listeners.clone();
        for listener in listeners.iter().filter_map(Weak::upgrade) {
            // The panic hook has reported it.
            let _ = caught(|| what(&*listener));
        }
    }
}

impl<S: ByteStore> Shared<S> {
    /// Tells what a command failed with, or what was refused.
    pub(super) fn tell_failure(&self, node: usize, operation: &'static str, told: &Account<'_>) {
        if let Some(error) = told.failure {
            self.tell_store(StoreEvent::Failed {
                node: self.name(node),
                operation,
                error: error.to_string(),
            });
        }
        if let Some(error) = told.refusal {
            self.tell_store(StoreEvent::Refused {
                node: self.name(node),
                operation,
                error: error.to_string(),
            });
        }
    }

    pub(super) fn tell(&self, news: Vec<News>) {
        for news in news {
            self.tell_store(match news {
                News::Opened(node, error) => StoreEvent::BreakerOpened {
                    node: self.name(node),
                    error,
                },
                News::Closed(node) => StoreEvent::BreakerClosed {
                    node: self.name(node),
                },
                News::Pending(count) => StoreEvent::PendingInvalidations { count },
            });
        }
    }

    /// The invalidation of `key` has been given up.
    pub(super) fn tell_given_up(&self, key: &str) {
        let subject = Subject::new(key);
        let event = CacheEvent::InvalidationGivenUp;
        self.told.log.key(&subject, &event);
        self.told.each(|listener| listener.record(&subject, &event));
    }

    fn tell_store(&self, event: StoreEvent) {
        self.told.log.store(&event);
        self.told.notify(&event);
    }

    /// What the store calls a node.
    fn name(&self, node: usize) -> String {
        let named = self.store.nodes().into_iter();
        let mut named = named.filter(|known| known.number == Some(node));
        named
            .next()
            .map_or_else(|| node.to_string(), |known| known.name)
    }
}
