//! [`Listeners`]: those of the services over one backend.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::CacheMetrics;
use crate::unwind::caught;

/// The listeners that a backend tells of what happens in it, while they live.
pub(crate) struct Listeners {
    all: Mutex<Arc<[Weak<dyn CacheMetrics>]>>,
    /// Whether there has been one: without, telling costs one load.
    any: AtomicBool,
}

impl Listeners {
    pub(crate) fn add(&self, listener: Weak<dyn CacheMetrics>) {
        let mut all = self.lock();
        let alive = all.iter().filter(|known| known.strong_count() > 0);
        *all = alive.cloned().chain([listener]).collect();
        drop(all);
        self.any.store(true, Ordering::Release);
    }

    /// Whether there has been one.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Tells each. One that panics loses the event.
    pub(crate) fn each(&self, tell: impl Fn(&dyn CacheMetrics)) {
        if !self.any() {
            return;
        }
        // A listener is user code: it runs under no lock.
        let all = self.lock().clone();
        for listener in all.iter().filter_map(Weak::upgrade) {
            // The panic hook has reported it.
            let _ = caught(|| tell(&*listener));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arc<[Weak<dyn CacheMetrics>]>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Listeners {
    fn default() -> Self {
        Self {
            all: Mutex::new(Arc::new([])),
            any: AtomicBool::new(false),
        }
    }
}
