//! [`Unconfirmed`]: invalidations without an answer yet.

use super::GuardedStore;
use crate::backend::Invalidated;
use crate::backend::remote::byte_store::ByteStore;
use crate::error::{Error, Result};

/// Invalidations that may or may not have reached the store. If they are dropped before that is
/// known, they are queued.
pub(super) struct Unconfirmed<'g, S: ByteStore> {
    store: &'g GuardedStore<S>,
    keys: &'g [&'g str],
    /// The number of the last failed invalidation before these. Success confirms that one and
    /// earlier ones, too.
    since: u64,
}

impl<'g, S: ByteStore> Unconfirmed<'g, S> {
    pub(super) fn new(store: &'g GuardedStore<S>, keys: &'g [&'g str]) -> Self {
        let shared = &store.shared;
        let since = match shared.is_troubled() {
            true => shared.lock().pending.last(),
            false => 0,
        };
        Self { store, keys, since }
    }

    pub(super) fn keys(&self) -> &'g [&'g str] {
        self.keys
    }

    /// Takes the answer to each. Those that failed are queued.
    pub(super) fn settle(mut self, answers: Vec<Result<()>>) -> Vec<Result<Invalidated>> {
        let keys = std::mem::take(&mut self.keys);
        let shared = &self.store.shared;
        if answers.iter().all(Result::is_ok) && !shared.is_troubled() {
            return keys.iter().map(|_| Ok(Invalidated::Done)).collect();
        }
        let now = shared.now();
        let leases_end = now.after(shared.policy.lease_lifetime);
        let told = shared.change(|state| {
            let pending = &mut state.pending;
            let settle = |(key, answer): (&&str, Result<()>)| match answer {
                Ok(()) => {
                    pending.done(key, self.since);
                    Ok(Invalidated::Done)
                }
                Err(error) => {
                    let queued = pending.queue(key, now, leases_end);
                    if super::is_refusal(&error) {
                        pending.refuse(key, now);
                    }
                    match error {
                        Error::ConfigError(_) => Err(error),
                        _ if queued => Ok(Invalidated::Pending),
                        error => Err(Error::BackendError(format!(
                            "{error}; no room to queue the invalidation"
                        ))),
                    }
                }
            };
            keys.iter().zip(answers).map(settle).collect()
        });
        self.store.recover();
        told
    }
}

impl<S: ByteStore> Drop for Unconfirmed<'_, S> {
    fn drop(&mut self) {
        if self.keys.is_empty() {
            return;
        }
        let shared = &self.store.shared;
        let now = shared.now();
        let leases_end = now.after(shared.policy.lease_lifetime);
        shared.change(|state| {
            for key in self.keys {
                state.pending.queue(key, now, leases_end);
            }
        });
        self.store.recover();
    }
}
