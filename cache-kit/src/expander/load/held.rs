//! [`Held`]: what a flight keeps of its lease until it has been used.

use std::mem;
use std::sync::Arc;

use smol_str::SmolStr;
use tokio::runtime::Handle;

use crate::backend::{CacheBackend, LeaseId, LeaseRequest, Leased, Take};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::error::Error;

/// A lease that was asked for and has not been used up.
///
/// A lease that is left behind keeps other processes waiting for a load that is not made any more.
/// So when this is dropped, a task of its own gives up what is in hand, or looks for what a command
/// without an answer may have left. Without a runtime it stands until it expires.
pub(in crate::expander) struct Held<B: CacheBackend> {
    hand: Hand<B::Lease>,
    id: LeaseId,
    asked: Timestamp,
    backend: Arc<B>,
    key: SmolStr,
    tidy: Tidy<B>,
}

/// How a lease is given up that belongs to an entity of some type.
type Tidy<B> = fn(Handle, Arc<B>, SmolStr, LeaseRequest, Option<<B as CacheBackend>::Lease>);

enum Hand<L> {
    /// A command is under way that takes the lease or uses it up.
    Unanswered,
    Lease(L),
    /// There is nothing to give up.
    Empty,
}

impl<B: CacheBackend> Held<B> {
    /// Of a lease that is about to be asked for.
    pub(super) fn unanswered<T: CacheEntity>(
        backend: &Arc<B>,
        key: &str,
        id: LeaseId,
        asked: Timestamp,
    ) -> Self {
        Self {
            hand: Hand::Unanswered,
            id,
            asked,
            backend: Arc::clone(backend),
            key: key.into(),
            tidy: tidy::<T, B>,
        }
    }

    /// The lease has been granted.
    pub(super) fn keep(&mut self, lease: B::Lease) {
        self.hand = Hand::Lease(lease);
    }

    /// The lease, for the command that uses it up. Its answer is to be told to
    /// [`answered`](Self::answered).
    pub(super) fn use_up(&mut self) -> Option<B::Lease> {
        match mem::replace(&mut self.hand, Hand::Unanswered) {
            Hand::Lease(lease) => Some(lease),
            Hand::Unanswered | Hand::Empty => {
                self.hand = Hand::Empty;
                None
            }
        }
    }

    /// The command under way has ended. After an error that leaves open whether it has been done,
    /// there may be something to give up.
    pub(super) fn answered(mut self, error: Option<&Error>) {
        if !error.is_some_and(leaves_open) {
            self.hand = Hand::Empty;
        }
    }
}

/// Whether a command that ended like this may have been done, or be done later.
fn leaves_open(error: &Error) -> bool {
    matches!(error, Error::Timeout(_))
}

impl<B: CacheBackend> Drop for Held<B> {
    fn drop(&mut self) {
        let lease = match mem::replace(&mut self.hand, Hand::Empty) {
            Hand::Empty => return,
            Hand::Lease(lease) => Some(lease),
            Hand::Unanswered => None,
        };
        if let Ok(runtime) = Handle::try_current() {
            let request = LeaseRequest {
                id: self.id,
                take: Take::IfMissing,
                now: self.asked,
            };
            let (backend, key) = (Arc::clone(&self.backend), self.key.clone());
            (self.tidy)(runtime, backend, key, request, lease);
        }
    }
}

/// Gives up `lease`; without one, takes the lease once more, under the id by which the store knows
/// what the first command has put there.
fn tidy<T: CacheEntity, B: CacheBackend>(
    runtime: Handle,
    backend: Arc<B>,
    key: SmolStr,
    request: LeaseRequest,
    lease: Option<B::Lease>,
) {
    runtime.spawn(async move {
        let lease = match lease {
            Some(lease) => lease,
            None => match backend.lease::<T>(&key, request).await {
                Ok(Leased::Granted { lease, .. }) => lease,
                _ => return,
            },
        };
        // There is no caller left to be told of an error, and the lease expires.
        let _ = backend.release::<T>(&key, lease).await;
    });
}
