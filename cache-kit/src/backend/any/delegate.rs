//! [`CacheBackend`] for [`AnyBackend`]: each method asks the backend that was chosen.

use std::sync::Weak;
use std::time::Duration;

use super::lease::{AnyLease, LeaseOfKind, erased, foreign, sorted};
use super::{AnyBackend, Inner, each};
use crate::backend::{
    CacheBackend, Cleared, EntityType, Health, Invalidated, LeaseRequest, Leased, Lookup, Scope,
    Stored,
};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::error::Result;
use crate::key::CacheKey;
use crate::observability::CacheMetrics;

#[deny(clippy::missing_trait_methods)]
impl CacheBackend for AnyBackend {
    type Lease = AnyLease;

    #[inline]
    fn try_get<T: CacheEntity>(&self, key: CacheKey<'_, T>, now: Timestamp) -> Option<Entry<T>> {
        each!(self, inner => inner.try_get(key, now))
    }

    async fn get<T: CacheEntity>(&self, key: &str, now: Timestamp) -> Result<Lookup<T>> {
        each!(self, inner => inner.get(key, now).await)
    }

    async fn get_again<T: CacheEntity>(&self, key: &str, now: Timestamp) -> Result<Lookup<T>> {
        each!(self, inner => inner.get_again(key, now).await)
    }

    fn is_cold(&self, key: &str) -> bool {
        each!(self, inner => inner.is_cold(key))
    }

    async fn lease<T: CacheEntity>(
        &self,
        key: &str,
        request: LeaseRequest,
    ) -> Result<Leased<AnyLease>> {
        each!(self, inner => inner.lease::<T>(key, request).await.map(erased))
    }

    async fn store<T: CacheEntity>(
        &self,
        key: &str,
        lease: AnyLease,
        entry: Entry<T>,
        now: Timestamp,
    ) -> Result<Stored> {
        each!(self, inner => match LeaseOfKind::of(lease) {
            Some(lease) => CacheBackend::store(inner, key, lease, entry, now).await,
            None => Err(foreign()),
        })
    }

    async fn release<T: CacheEntity>(&self, key: &str, lease: AnyLease) -> Result<()> {
        each!(self, inner => match LeaseOfKind::of(lease) {
            Some(lease) => inner.release::<T>(key, lease).await,
            None => Err(foreign()),
        })
    }

    async fn invalidate<T: CacheEntity>(&self, key: &str) -> Result<Invalidated> {
        each!(self, inner => inner.invalidate::<T>(key).await)
    }

    async fn invalidate_text(&self, key: &str) -> Result<Invalidated> {
        each!(self, inner => inner.invalidate_text(key).await)
    }

    async fn clear_prefix(&self, beginning: &str) -> Result<Cleared> {
        each!(self, inner => inner.clear_prefix(beginning).await)
    }

    fn scope(&self) -> Scope {
        each!(self, inner => inner.scope())
    }

    fn default_ttl(&self) -> Option<Duration> {
        each!(self, inner => inner.default_ttl())
    }

    fn watch(&self, listener: Weak<dyn CacheMetrics>) {
        each!(self, inner => inner.watch(listener));
    }

    fn meet(&self, entity: EntityType<'_>) -> Result<()> {
        each!(self, inner => inner.meet(entity))
    }

    async fn ping(&self) -> Result<()> {
        each!(self, inner => CacheBackend::ping(inner).await)
    }

    fn health(&self) -> Option<Health> {
        each!(self, inner => CacheBackend::health(inner))
    }

    fn entries(&self) -> Option<u64> {
        each!(self, inner => inner.entries())
    }

    async fn get_many<T: CacheEntity>(
        &self,
        keys: &[&str],
        now: Timestamp,
    ) -> Vec<Result<Lookup<T>>> {
        each!(self, inner => inner.get_many(keys, now).await)
    }

    async fn lease_many<T: CacheEntity>(
        &self,
        requests: &[(&str, LeaseRequest)],
    ) -> Vec<Result<Leased<AnyLease>>> {
        each!(self, inner => {
            let leased = inner.lease_many::<T>(requests).await;
            leased.into_iter().map(|leased| leased.map(erased)).collect()
        })
    }

    async fn store_many<T: CacheEntity>(
        &self,
        entries: Vec<(&str, AnyLease, Entry<T>)>,
        now: Timestamp,
    ) -> Vec<Result<Stored>> {
        each!(self, inner => {
            let (entries, foreign) = sorted(entries, |(key, lease, entry)| {
                LeaseOfKind::of(lease).map(|lease| (key, lease, entry))
            });
            foreign.among(inner.store_many(entries, now).await)
        })
    }

    async fn release_many<T: CacheEntity>(&self, leases: Vec<(&str, AnyLease)>) -> Vec<Result<()>> {
        each!(self, inner => {
            let (leases, foreign) = sorted(leases, |(key, lease)| {
                LeaseOfKind::of(lease).map(|lease| (key, lease))
            });
            foreign.among(inner.release_many::<T>(leases).await)
        })
    }

    async fn invalidate_many<T: CacheEntity>(&self, keys: &[&str]) -> Vec<Result<Invalidated>> {
        each!(self, inner => inner.invalidate_many::<T>(keys).await)
    }
}
