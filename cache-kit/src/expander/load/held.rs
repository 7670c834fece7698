//! [`HeldLease`]: a flight's lease until it has been used.

use std::mem;
use std::sync::Arc;

use smol_str::SmolStr;
use tokio::runtime::Handle;

use crate::backend::{CacheBackend, LeaseId, LeaseRequest, Leased, Take};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::error::Error;

/// A lease that was requested and has not been used up.
///
/// An abandoned lease makes other processes wait for a load that will not come. So when this is
/// dropped, a task gives up the lease, or looks for what a command without an answer may have left.
/// Without a runtime, the lease stays until it expires.
pub(in crate::expander) struct HeldLease<B: CacheBackend> {
    hand: Hand<B::Lease>,
    id: LeaseId,
    asked: Timestamp,
    backend: Arc<B>,
    key: SmolStr,
    tidy: Tidy<B>,
}

/// Gives up the lease, for its entity type.
type Tidy<B> = fn(Handle, Arc<B>, SmolStr, LeaseRequest, Option<<B as CacheBackend>::Lease>);

enum Hand<L> {
    /// A command that takes the lease or uses it up is in flight.
    Unanswered,
    Lease(L),
    /// There is nothing to give up.
    Empty,
}

impl<B: CacheBackend> HeldLease<B> {
    /// For a lease that is about to be requested.
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

    /// The lease, for the command that uses it up. Report its answer to
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

    /// The command in flight has ended. If its error leaves open whether it has been done, there
    /// may be a lease to give up.
    pub(super) fn answered(mut self, error: Option<&Error>) {
        if !error.is_some_and(leaves_open) {
            self.hand = Hand::Empty;
        }
    }
}

/// Whether a command that ended like this may have been done, or be done later.
fn leaves_open(error: &Error) -> bool {
    matches!(error, Error::Timeout(_) | Error::ConnectionLost(_))
}

impl<B: CacheBackend> Drop for HeldLease<B> {
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

/// Gives up `lease`. Without one, takes the lease once more under the same id, by which the store
/// recognizes what the first command left.
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
        // No caller is left to receive an error, and the lease expires anyway.
        let _ = backend.release::<T>(&key, lease).await;
    });
}
