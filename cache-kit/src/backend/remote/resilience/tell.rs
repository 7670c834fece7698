//! Tells the listeners and the log what happens to a store.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use super::Shared;
use super::again::Account;
use super::state::News;
use crate::backend::remote::byte_store::ByteStore;
use crate::observability::{CacheEvent, CacheMetrics, Listeners, StoreEvent, Subject};
use crate::trace::Log;

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
    listeners: Listeners,
    wants_durations: AtomicBool,
    /// What nodes were called when their breakers opened. A cluster may have dropped one by the time
    /// when it closes.
    opened: Mutex<HashMap<usize, String>>,
    log: Log,
}

impl Told {
    pub(super) fn watch(&self, listener: Weak<dyn CacheMetrics>) {
        let wants = (listener.upgrade()).is_some_and(|listener| listener.wants_durations());
        self.wants_durations.fetch_or(wants, Ordering::Relaxed);
        self.listeners.add(listener);
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
        if !self.listeners.any() {
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
        self.listeners.each(|listener| listener.record_store(event));
    }

    fn names(&self) -> MutexGuard<'_, HashMap<usize, String>> {
        (self.opened.lock()).unwrap_or_else(PoisonError::into_inner)
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
                News::Opened(node, error) => {
                    let name = self.name(node);
                    self.told.names().insert(node, name.clone());
                    StoreEvent::BreakerOpened { node: name, error }
                }
                News::Recovered(node) => StoreEvent::Recovered {
                    node: self.told_name(node),
                },
                News::Closed(node) => {
                    let name = self.told_name(node);
                    self.told.names().remove(&node);
                    StoreEvent::BreakerClosed { node: name }
                }
                // As it is by now: two threads may tell in another order than they changed it.
                News::Pending => StoreEvent::PendingInvalidations {
                    store: self.store_name(),
                    count: self.lock().pending.len(),
                },
            });
        }
    }

    /// The invalidation of `key` has been given up.
    pub(super) fn tell_given_up(&self, key: &str) {
        let subject = Subject::new(key);
        let event = CacheEvent::InvalidationGivenUp;
        self.told.log.key(&subject, &event);
        self.told
            .listeners
            .each(|listener| listener.record(&subject, &event));
    }

    fn tell_store(&self, event: StoreEvent) {
        self.told.log.store(&event);
        self.told.notify(&event);
    }

    /// What a node was called when its breaker opened, otherwise what it is called now.
    fn told_name(&self, node: usize) -> String {
        let told = self.told.names().get(&node).cloned();
        told.unwrap_or_else(|| self.name(node))
    }

    /// The address of its first server, as far as it knows one.
    fn store_name(&self) -> String {
        let first = self.store.nodes().into_iter().next();
        first.map_or_else(|| self.name(0), |node| node.name)
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
