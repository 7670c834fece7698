//! The locks and atomics of code that runs under the model checker: `std`'s, or the checker's own.

#[cfg(not(cache_kit_model))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};

#[cfg(cache_kit_model)]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic};

/// Locks `mutex` even if it is poisoned: its content is changed only in steps that cannot panic
/// half-way.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Runs `model` in every order in which its threads can take their locks. With `preemptions`, only
/// in orders with at most that many preemptions; the checker's own environment variable takes
/// precedence.
#[cfg(all(test, cache_kit_model))]
pub(crate) fn explore(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut checker = loom::model::Builder::new();
    checker.preemption_bound = checker.preemption_bound.or(preemptions);
    checker.check(model);
}
