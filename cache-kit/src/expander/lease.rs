//! Leases: how one is taken, what is done while somebody else has it, how it is given up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smol_str::SmolStr;
use tokio::runtime::Handle;

use crate::backend::{CacheBackend, Fence, LeaseId, LeaseRequest, Leased, Lookup, Take};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::{Entry, Freshness};
use crate::error::{Error, Result};
use crate::observability::{CacheEvent, Degraded};

use super::CacheExpander;
use super::ask::Call;

pub(super) const FIRST_POLL: Duration = Duration::from_millis(5);
pub(super) const LONGEST_POLL: Duration = Duration::from_millis(80);

/// How often a lease is asked for when the key changes hands at every try.
pub(super) const LEASE_TRIES: usize = 4;

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

/// What the answer to a request for a lease means.
pub(super) enum Reply<B: CacheBackend> {
    Granted(Held<B>, Fence),
    /// There is none to be had; nothing is stored.
    Refused,
    /// There is an entry by now.
    Found,
    /// Somebody else has one.
    Busy(Fence),
}

/// What a second look-up found.
pub(super) enum Again<T> {
    Fresh(Entry<T>),
    Stale,
    /// Nothing, or somebody's lease.
    Nothing(Option<Fence>),
}

impl<T> Again<T> {
    pub(super) fn of(answer: Result<Lookup<T>>, now: Timestamp) -> Self {
        match answer {
            Ok(Lookup::Hit { entry, .. }) => match entry.freshness(now) {
                Freshness::Fresh => Self::Fresh(entry),
                Freshness::Stale => Self::Stale,
                Freshness::Expired => Self::Nothing(None),
            },
            Ok(Lookup::Miss { fence, .. }) => Self::Nothing(fence),
            Err(_) => Self::Nothing(None),
        }
    }
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
            let answer = self.backend.lease::<T>(call.key, request).await;
            match self.judge_lease(call, take, since, answer, degraded)? {
                Reply::Granted(held, fence) => return Ok(Hold::Lease(held, fence)),
                Reply::Refused => return Ok(Hold::Nothing),
                Reply::Found => match self.look_again(call).await {
                    Again::Fresh(entry) => return Ok(Hold::Entry(entry)),
                    // Gone again, or nothing that can be used; a lease over it is always to be had.
                    Again::Stale | Again::Nothing(_) => take = Take::Over,
                },
                Reply::Busy(fence) => match self.wait_for_other(call, fence).await {
                    Some(entry) => return Ok(Hold::Entry(entry)),
                    None => take = Take::Over,
                },
            }
        }
        degraded.store = true;
        Ok(Hold::Nothing)
    }

    /// Says what an answer means for its call, and tells the listener.
    pub(super) fn judge_lease<T: CacheEntity>(
        &self,
        call: &Call<'_, T>,
        take: Take,
        since: Option<Instant>,
        answer: Result<Leased<B::Lease>>,
        degraded: &mut Degraded,
    ) -> Result<Reply<B>> {
        if let (Take::Invalidating, Ok(Leased::Granted { .. } | Leased::NoRoom), Some(listener)) =
            (take, &answer, &self.listener)
        {
            listener.invalidated(call.key, since);
        }
        let error = match answer {
            Ok(Leased::Granted { lease, fence }) => {
                let held = Held::new::<T>(&self.backend, call.key, lease);
                return Ok(Reply::Granted(held, fence));
            }
            Ok(Leased::Found) => return Ok(Reply::Found),
            Ok(Leased::Busy { fence }) => return Ok(Reply::Busy(fence)),
            Ok(Leased::Writing) => return Ok(Reply::Refused),
            Ok(Leased::NoRoom) => None,
            Ok(Leased::Pending) => {
                self.event(call.key, CacheEvent::InvalidationPending);
                degraded.invalidation_pending = true;
                call.config
                    .strict_invalidation
                    .then(|| Error::BackendError("the store has not confirmed it".into()))
            }
            Err(error) => {
                self.report(call.key, &error);
                (take == Take::Invalidating).then_some(error)
            }
        };
        degraded.store = true;
        match error {
            Some(error) => Err(error.during("invalidate", call.key)),
            None => Ok(Reply::Refused),
        }
    }

    async fn look_again<T: CacheEntity>(&self, call: &Call<'_, T>) -> Again<T> {
        let now = self.clock.now();
        Again::of(self.backend.get_again::<T>(call.key, now).await, now)
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
