//! Leases: how one is taken, what is done while somebody else has it, how it is given up.

use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;
use tokio::runtime::Handle;

use crate::backend::{CacheBackend, Fence, LeaseId, LeaseRequest, Leased, Lookup, Take};
use crate::entity::CacheEntity;
use crate::entry::{Entry, Freshness};
use crate::error::{Error, Result};
use crate::observability::{CacheEvent, Degraded};

use super::CacheExpander;
use super::ask::Call;

const FIRST_POLL: Duration = Duration::from_millis(5);
const LONGEST_POLL: Duration = Duration::from_millis(80);

/// How often a lease is asked for when the key changes hands at every try.
const LEASE_TRIES: usize = 4;

/// A lease that has not been used yet.
///
/// Whoever comes next would wait for a load that nobody makes any more. So a lease that is dropped
/// is released by a task of its own; without a runtime it stands until it expires.
pub(super) struct Held<B: CacheBackend> {
    lease: Option<B::Lease>,
    backend: Arc<B>,
    key: SmolStr,
    release: Release<B>,
}

type Release<B> = fn(Arc<B>, SmolStr, <B as CacheBackend>::Lease, &Handle);

impl<B: CacheBackend> Held<B> {
    fn new<T: CacheEntity>(backend: &Arc<B>, key: &str, lease: B::Lease) -> Self {
        Self {
            lease: Some(lease),
            backend: Arc::clone(backend),
            key: key.into(),
            release: |backend, key, lease, runtime| {
                runtime.spawn(async move {
                    // Nobody is left to be told of an error, and the lease expires.
                    let _ = backend.release::<T>(&key, lease).await;
                });
            },
        }
    }

    /// The lease, to be stored under or released at once. `None` never comes about.
    pub(super) fn into_lease(mut self) -> Option<B::Lease> {
        self.lease.take()
    }
}

impl<B: CacheBackend> Drop for Held<B> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take()
            && let Ok(runtime) = Handle::try_current()
        {
            let (backend, key) = (Arc::clone(&self.backend), self.key.clone());
            (self.release)(backend, key, lease, &runtime);
        }
    }
}

/// What asking for a lease came to.
pub(super) enum Hold<T, B: CacheBackend> {
    Lease(Held<B>, Fence),
    /// There is none to be had; nothing is stored.
    Nothing,
    /// The key has been loaded by somebody else meanwhile.
    Entry(Entry<T>),
}

/// What a second look-up found.
enum Again<T> {
    Fresh(Entry<T>),
    Stale,
    /// Nothing, or somebody's lease.
    Nothing(Option<Fence>),
}

impl<B: CacheBackend> CacheExpander<B> {
    /// Takes the lease that the load is to be stored under, or finds that it need not be loaded.
    pub(super) async fn take_lease<T: CacheEntity>(
        &self,
        call: &Call<'_, T>,
        take: Option<Take>,
        id: LeaseId,
        degraded: &mut Degraded,
    ) -> Result<Hold<T, B>> {
        let Some(mut take) = take else {
            degraded.store = true;
            return Ok(Hold::Nothing);
        };
        for _ in 0..LEASE_TRIES {
            let since = self.stopwatch();
            let request = LeaseRequest {
                id,
                take,
                now: self.clock.now(),
            };
            match self.backend.lease::<T>(call.key, request).await {
                Ok(Leased::Granted { lease, fence }) => {
                    if let (Take::Invalidating, Some(listener)) = (take, &self.listener) {
                        listener.invalidated(call.key, since);
                    }
                    let held = Held::new::<T>(&self.backend, call.key, lease);
                    return Ok(Hold::Lease(held, fence));
                }
                Ok(Leased::Found) => match self.look_again(call).await {
                    Again::Fresh(entry) => return Ok(Hold::Entry(entry)),
                    // Gone again, or nothing that can be used; a lease over it is always to be had.
                    Again::Stale | Again::Nothing(_) => take = Take::Over,
                },
                Ok(Leased::Busy { fence }) => match self.wait_for_other(call, fence).await {
                    Some(entry) => return Ok(Hold::Entry(entry)),
                    None => take = Take::Over,
                },
                Ok(Leased::Writing) => return Ok(Hold::Nothing),
                Ok(Leased::NoRoom) => {
                    if let (Take::Invalidating, Some(listener)) = (take, &self.listener) {
                        listener.invalidated(call.key, since);
                    }
                    degraded.store = true;
                    return Ok(Hold::Nothing);
                }
                Ok(Leased::Pending) => {
                    self.event(call.key, CacheEvent::InvalidationPending);
                    if call.config.strict_invalidation {
                        let error = Error::BackendError("the store has not confirmed it".into());
                        return Err(error.during("invalidate", call.key));
                    }
                    degraded.invalidation_pending = true;
                    degraded.store = true;
                    return Ok(Hold::Nothing);
                }
                Err(error) => {
                    self.report(call.key, &error);
                    if take == Take::Invalidating {
                        return Err(error.during("invalidate", call.key));
                    }
                    degraded.store = true;
                    return Ok(Hold::Nothing);
                }
            }
        }
        degraded.store = true;
        Ok(Hold::Nothing)
    }

    async fn look_again<T: CacheEntity>(&self, call: &Call<'_, T>) -> Again<T> {
        let now = self.clock.now();
        match self.backend.get::<T>(call.key, now).await {
            Ok(Lookup::Hit { entry, .. }) => match entry.freshness(now) {
                Freshness::Fresh => Again::Fresh(entry),
                Freshness::Stale => Again::Stale,
                Freshness::Expired => Again::Nothing(None),
            },
            Ok(Lookup::Miss { fence, .. }) => Again::Nothing(fence),
            Err(_) => Again::Nothing(None),
        }
    }

    /// Waits, within bounds, for the load of whoever holds the lease `theirs`.
    async fn wait_for_other<T: CacheEntity>(
        &self,
        call: &Call<'_, T>,
        theirs: Fence,
    ) -> Option<Entry<T>> {
        let polls = async {
            let mut pause = FIRST_POLL;
            loop {
                tokio::time::sleep(pause).await;
                match self.look_again(call).await {
                    Again::Fresh(entry) => return Some(entry),
                    Again::Nothing(Some(fence)) if fence == theirs => {}
                    Again::Nothing(_) | Again::Stale => return None,
                }
                pause = (pause * 2).min(LONGEST_POLL);
            }
        };
        tokio::time::timeout(self.lease_wait, polls)
            .await
            .unwrap_or(None)
    }

    /// Gives up a lease that will not be filled. A failure costs nothing but the lease's lifetime.
    pub(super) async fn release<T: CacheEntity>(&self, call: &Call<'_, T>, lease: Option<Held<B>>) {
        if let Some(lease) = lease.and_then(Held::into_lease)
            && let Err(error) = self.backend.release::<T>(call.key, lease).await
        {
            self.report(call.key, &error);
        }
    }
}
