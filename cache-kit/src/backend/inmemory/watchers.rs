//! [`Watchers`]: the listeners of services that hear of evictions.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, Weak};

use super::engine::EvictionCause;
use super::key::MapKey;
use super::kinds::Kinds;
use crate::clock::Timestamp;
use crate::observability::{CacheEvent, CacheMetrics, Subject};
use crate::unwind::caught;

#[derive(Default)]
pub(super) struct Watchers {
    listeners: RwLock<Vec<Weak<dyn CacheMetrics>>>,
    /// Whether there has been one: without, an eviction costs nothing more.
    any: AtomicBool,
    /// When the last store was, in milliseconds: evictions make room for stores, so that is the time
    /// of an eviction, too.
    now: AtomicU64,
}

impl Watchers {
    pub(super) fn add(&self, listener: Weak<dyn CacheMetrics>) {
        let mut listeners = self
            .listeners
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(listener);
        drop(listeners);
        self.any.store(true, Ordering::Release);
    }

    /// A store has begun at `now`.
    pub(super) fn at(&self, now: Timestamp) {
        self.now.store(now.as_millis(), Ordering::Relaxed);
    }

    /// Tells of an eviction. No lock of the map is held here.
    pub(super) fn tell(
        &self,
        kinds: &Kinds,
        key: &MapKey,
        created: Timestamp,
        cause: EvictionCause,
    ) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        // A listener is user code: it runs under no lock.
        let listeners = (self.listeners.read())
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let age = Timestamp::from_millis(self.now.load(Ordering::Relaxed)).since(created);
        let Some((head, prefix)) = kinds.head(key) else {
            return;
        };
        let text = key.text(&head);
        let subject = Subject {
            key: &text,
            namespace: head
                .strip_suffix(':')
                .and_then(|head| head.strip_suffix(prefix))
                .and_then(|head| head.strip_suffix(':')),
            prefix: Some(prefix),
            strategy: None,
        };
        let event = CacheEvent::Evicted { cause, age };
        for listener in listeners.iter().filter_map(Weak::upgrade) {
            // The panic hook has reported it.
            let _ = caught(|| listener.record(&subject, &event));
        }
    }
}
