//! Memory in front of another backend, without a stream of invalidations: what an entry near by may
//! outlive its invalidation elsewhere is bounded by the time for which it is trusted.

use std::time::Duration;

use cache_kit::backend::{
    CacheBackend, Cleared, InMemoryBackend, Invalidated, LeaseId, LeaseRequest, Leased, Lookup,
    Scope, Stored, Take,
};
use cache_kit::clock::Timestamp;
use cache_kit::entry::Entry;
use cache_kit::{CacheEntity, CacheKey, Result};
use serde::{Deserialize, Serialize};

#[derive(Clone)]
pub(crate) struct Tiered<B> {
    pub(crate) near: InMemoryBackend,
    pub(crate) far: B,
    /// For how long an entry near by is served.
    pub(crate) trust: Duration,
}

/// An entry of the far backend, kept near by with stamps of its own.
#[derive(Clone, Serialize, Deserialize)]
#[serde(bound = "")]
struct Near<T> {
    #[serde(skip)]
    entry: Option<Entry<T>>,
}

impl<T: CacheEntity> CacheEntity for Near<T> {
    type Key = T::Key;

    fn cache_key(&self) -> T::Key {
        let value = self.entry.as_ref().and_then(|entry| entry.value.as_ref());
        match value {
            Some(value) => value.cache_key(),
            None => unreachable!("an absence is not asked for its key"),
        }
    }

    fn cache_prefix() -> &'static str {
        T::cache_prefix()
    }
}

/// The far entry inside one near by, if it is fresh itself.
fn fresh<T>(near: Option<Entry<Near<T>>>, now: Timestamp) -> Option<Entry<T>> {
    let entry = near?.value?.entry.clone()?;
    (now < entry.stale_from && now < entry.expires).then_some(entry)
}

impl<B: CacheBackend> CacheBackend for Tiered<B> {
    type Lease = B::Lease;

    cache_kit::forward_backend!(far: release, release_many, default_ttl, watch, meet);
    cache_kit::forward_backend!(far: ping, health, entries);

    fn scope(&self) -> Scope {
        let others_within = self.trust;
        Scope::ThisProcess { others_within }
    }

    fn try_get<T: CacheEntity>(&self, key: CacheKey<'_, T>, now: Timestamp) -> Option<Entry<T>> {
        fresh(self.near.try_get::<Near<T>>(key.cast(), now), now)
    }

    async fn get<T: CacheEntity>(&self, key: &str, now: Timestamp) -> Result<Lookup<T>> {
        if let Lookup::Hit { entry, .. } = self.near.get::<Near<T>>(key, now).await?
            && let Some(entry) = fresh(Some(entry), now)
        {
            return Ok(Lookup::Hit { entry, fence: None });
        }
        // Before the far look-up: an invalidation in between makes the lease worthless.
        let (id, take) = (LeaseId(0), Take::Over);
        let lease = self
            .near
            .lease::<Near<T>>(key, LeaseRequest { id, take, now });
        let (leased, found) = (lease.await?, self.far.get::<T>(key, now).await?);
        if let (Leased::Granted { lease, .. }, Lookup::Hit { entry, .. }) = (leased, &found) {
            let near = Near {
                entry: Some(entry.clone()),
            };
            let near = Entry {
                value: Some(near.into()),
                created: now,
                stale_from: Timestamp::NEVER,
                expires: now.after(self.trust),
                load_millis: 0,
                pinned: false,
            };
            self.near.store(key, lease, near, now).await?;
        }
        Ok(found)
    }

    async fn lease<T: CacheEntity>(
        &self,
        key: &str,
        request: LeaseRequest,
    ) -> Result<Leased<B::Lease>> {
        let leased = self.far.lease::<T>(key, request).await;
        self.near.clear_key(key);
        leased
    }

    async fn store<T: CacheEntity>(
        &self,
        key: &str,
        lease: B::Lease,
        entry: Entry<T>,
        now: Timestamp,
    ) -> Result<Stored> {
        let stored = self.far.store(key, lease, entry, now).await;
        self.near.clear_key(key);
        stored
    }

    async fn invalidate<T: CacheEntity>(&self, key: &str) -> Result<Invalidated> {
        self.invalidate_text(key).await
    }

    async fn invalidate_text(&self, key: &str) -> Result<Invalidated> {
        let answer = self.far.invalidate_text(key).await;
        self.near.clear_key(key);
        answer
    }

    async fn clear_prefix(&self, beginning: &str) -> Result<Cleared> {
        let answer = self.far.clear_prefix(beginning).await;
        self.near.clear();
        answer
    }
}
