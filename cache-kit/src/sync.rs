//! The locks and atomics of what the model checker runs: `std`'s, or the checker's own.

#[cfg(not(cache_kit_model))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};

#[cfg(cache_kit_model)]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic};

/// Locks `mutex` even if a panic once unwound through it: what it guards is changed only in steps
/// that cannot panic half-way.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
