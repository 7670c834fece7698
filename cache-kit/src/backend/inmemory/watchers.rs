//! [`Watchers`]: the listeners of services that hear of evictions.

use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};

use super::engine::EvictionCause;
use super::key::MapKey;
use super::kinds::Kinds;
use crate::clock::Timestamp;
use crate::observability::{CacheEvent, CacheMetrics, Listeners, Subject};

#[derive(Default)]
pub(super) struct Watchers {
    listeners: Listeners,
    /// When the last store was, in milliseconds: evictions make room for stores, so that is the time
    /// of an eviction, too.
    now: AtomicU64,
}

impl Watchers {
    pub(super) fn add(&self, listener: Weak<dyn CacheMetrics>) {
        self.listeners.add(listener);
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
        if !self.listeners.any() {
            return;
        }
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
        self.listeners
            .each(|listener| listener.record(&subject, &event));
    }
}
