//! [`FaultyBackend`]: a backend that fails on demand.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::answers::all_failed;
use crate::backend::{
    CacheBackend, Cleared, Health, Invalidated, LeaseRequest, Leased, Lookup, Stored, Take,
};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::key::CacheKey;

/// Wraps a backend and fails commands on demand. Clones fail together.
///
/// ```
/// use cache_kit::backend::InMemoryBackend;
/// use cache_kit::testing::{Fault, FaultyBackend};
///
/// let backend = FaultyBackend::new(InMemoryBackend::new());
/// backend.fail(Fault::Down);
/// // … what the service does while its cache is down …
/// backend.recover();
/// ```
#[derive(Clone)]
pub struct FaultyBackend<B> {
    inner: B,
    fault: Arc<AtomicU8>,
}

/// What a [`FaultyBackend`] fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Fault {
    /// Every command, and the ping.
    Down = 1,
    /// Look-ups.
    Reads = 2,
    /// Leases, those of an invalidation included.
    Leases = 3,
    /// Stores.
    Stores = 4,
    /// Invalidations are not confirmed ([`Invalidated::Pending`]) and never will be.
    InvalidationsPending = 5,
}

impl<B> FaultyBackend<B> {
    /// Wraps `inner`; nothing fails yet.
    pub fn new(inner: B) -> Self {
        Self {
            inner,
            fault: Arc::default(),
        }
    }

    /// Fails the commands of `fault` from now on, and no others.
    pub fn fail(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::Release);
    }

    /// Stops failing.
    pub fn recover(&self) {
        self.fault.store(0, Ordering::Release);
    }

    /// The wrapped backend.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault.load(Ordering::Acquire) == fault as u8
    }

    fn check(&self, fault: Fault) -> Result<()> {
        if self.has(fault) || self.has(Fault::Down) {
            return Err(Error::BackendError("told to fail".into()));
        }
        Ok(())
    }
}

#[deny(clippy::missing_trait_methods)]
impl<B: CacheBackend> CacheBackend for FaultyBackend<B> {
    type Lease = B::Lease;

    fn try_get<T: CacheEntity>(&self, key: CacheKey<'_, T>, now: Timestamp) -> Option<Entry<T>> {
        self.check(Fault::Reads).ok()?;
        self.inner.try_get(key, now)
    }

    async fn get<T: CacheEntity>(&self, key: &str, now: Timestamp) -> Result<Lookup<T>> {
        self.check(Fault::Reads)?;
        self.inner.get(key, now).await
    }

    async fn get_again<T: CacheEntity>(&self, key: &str, now: Timestamp) -> Result<Lookup<T>> {
        self.check(Fault::Reads)?;
        self.inner.get_again(key, now).await
    }

    async fn lease<T: CacheEntity>(
        &self,
        key: &str,
        request: LeaseRequest,
    ) -> Result<Leased<B::Lease>> {
        self.check(Fault::Leases)?;
        if request.take == Take::Invalidating && self.has(Fault::InvalidationsPending) {
            return Ok(Leased::Pending);
        }
        self.inner.lease::<T>(key, request).await
    }

    async fn store<T: CacheEntity>(
        &self,
        key: &str,
        lease: B::Lease,
        entry: Entry<T>,
        now: Timestamp,
    ) -> Result<Stored> {
        self.check(Fault::Stores)?;
        self.inner.store(key, lease, entry, now).await
    }

    async fn release<T: CacheEntity>(&self, key: &str, lease: B::Lease) -> Result<()> {
        self.check(Fault::Leases)?;
        self.inner.release::<T>(key, lease).await
    }

    async fn invalidate<T: CacheEntity>(&self, key: &str) -> Result<Invalidated> {
        self.check(Fault::Leases)?;
        if self.has(Fault::InvalidationsPending) {
            return Ok(Invalidated::Pending);
        }
        self.inner.invalidate::<T>(key).await
    }

    async fn invalidate_text(&self, key: &str) -> Result<Invalidated> {
        self.check(Fault::Leases)?;
        if self.has(Fault::InvalidationsPending) {
            return Ok(Invalidated::Pending);
        }
        self.inner.invalidate_text(key).await
    }

    async fn clear_prefix(&self, beginning: &str) -> Result<Cleared> {
        self.check(Fault::Leases)?;
        if self.has(Fault::InvalidationsPending) {
            return Ok(Cleared {
                invalidated: Invalidated::Pending,
                ..Cleared::nothing()
            });
        }
        self.inner.clear_prefix(beginning).await
    }

    crate::forward_backend!(inner: is_cold, scope, default_ttl, watch, meet, entries);

    async fn ping(&self) -> Result<()> {
        self.check(Fault::Down)?;
        self.inner.ping().await
    }

    /// While everything fails, a store that is unavailable.
    fn health(&self) -> Option<Health> {
        match self.check(Fault::Down) {
            Ok(()) => self.inner.health(),
            Err(error) => Some(Health {
                available: false,
                last_error: Some(error.to_string()),
                ..Health::default()
            }),
        }
    }

    async fn get_many<T: CacheEntity>(
        &self,
        keys: &[&str],
        now: Timestamp,
    ) -> Vec<Result<Lookup<T>>> {
        match self.check(Fault::Reads) {
            Ok(()) => self.inner.get_many(keys, now).await,
            Err(error) => all_failed(keys.len(), &error),
        }
    }

    async fn lease_many<T: CacheEntity>(
        &self,
        requests: &[(&str, LeaseRequest)],
    ) -> Vec<Result<Leased<B::Lease>>> {
        if let Err(error) = self.check(Fault::Leases) {
            return all_failed(requests.len(), &error);
        }
        let pending = self.has(Fault::InvalidationsPending);
        let pends = |request: &LeaseRequest| pending && request.take == Take::Invalidating;
        let passed = requests.iter().filter(|(_, request)| !pends(request));
        let passed: Vec<_> = passed.copied().collect();
        let mut answers = self.inner.lease_many::<T>(&passed).await.into_iter();
        let answer = |(_, request): &(&str, LeaseRequest)| match pends(request) {
            true => Some(Ok(Leased::Pending)),
            false => answers.next(),
        };
        requests.iter().filter_map(answer).collect()
    }

    async fn store_many<T: CacheEntity>(
        &self,
        entries: Vec<(&str, B::Lease, Entry<T>)>,
        now: Timestamp,
    ) -> Vec<Result<Stored>> {
        match self.check(Fault::Stores) {
            Ok(()) => self.inner.store_many(entries, now).await,
            Err(error) => all_failed(entries.len(), &error),
        }
    }

    async fn release_many<T: CacheEntity>(&self, leases: Vec<(&str, B::Lease)>) -> Vec<Result<()>> {
        match self.check(Fault::Leases) {
            Ok(()) => self.inner.release_many::<T>(leases).await,
            Err(error) => all_failed(leases.len(), &error),
        }
    }

    async fn invalidate_many<T: CacheEntity>(&self, keys: &[&str]) -> Vec<Result<Invalidated>> {
        if let Err(error) = self.check(Fault::Leases) {
            return all_failed(keys.len(), &error);
        }
        if self.has(Fault::InvalidationsPending) {
            return keys.iter().map(|_| Ok(Invalidated::Pending)).collect();
        }
        self.inner.invalidate_many::<T>(keys).await
    }
}

impl<B: fmt::Debug> fmt::Debug for FaultyBackend<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyBackend")
            .field("inner", &self.inner)
            .field("fault", &self.fault.load(Ordering::Acquire))
            .finish()
    }
}
