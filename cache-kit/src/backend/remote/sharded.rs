//! [`Sharded`]: several stores of one kind, each with its part of the keys, as one backend.
//!
//! Each shard is an [`Encoded`] store of its own, with its own deadline, breaker and queue of
//! invalidations: one that is away affects its own keys only.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::byte_store::ByteStore;
use super::encoded::{Encoded, EncodedLease};
use crate::backend::{
    CacheBackend, Cleared, EntityType, EntityTypes, Health, Invalidated, LeaseRequest, Leased,
    Lookup, Stored,
};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::error::Result;
use crate::observability::CacheMetrics;
use crate::together::join;

/// Several stores of one kind as one backend. Clones share them.
pub(super) struct Sharded<S: ByteStore> {
    shared: Arc<Shared<S>>,
}

struct Shared<S: ByteStore> {
    shards: Vec<Encoded<S>>,
    /// The place in the list of the shard that keeps a key. A key must never move while the backend
    /// lives: its invalidation may wait in the queue of its shard.
    route: Box<dyn Fn(&str) -> usize + Send + Sync>,
    types: EntityTypes,
}

impl<S: ByteStore> Sharded<S> {
    /// A backend over `shards`, of which there is at least one. `route` gives the place in the list
    /// of the shard that keeps a key.
    pub(super) fn new(
        shards: Vec<Encoded<S>>,
        route: impl Fn(&str) -> usize + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                shards,
                route: Box::new(route),
                types: EntityTypes::new(),
            }),
        }
    }

    pub(super) fn shards(&self) -> &[Encoded<S>] {
        &self.shared.shards
    }

    /// The shard that keeps `key`.
    pub(super) fn shard_of(&self, key: &str) -> &Encoded<S> {
        &self.shared.shards[self.of(key)]
    }

    /// The health of all shards in one: available if all are, the invalidations of all, and the last
    /// error of the first that has one.
    pub(super) fn health(&self) -> Health {
        Health::of_all(self.shared.shards.iter().map(Encoded::health))
    }

    /// Asks all shards at once whether they answer: an answer for each, in order.
    pub(super) async fn ping_each(&self) -> Vec<Result<()>> {
        let pings = self.shared.shards.iter().map(Encoded::ping);
        join(pings, usize::MAX).await
    }

    fn of(&self, key: &str) -> usize {
        (self.shared.route)(key)
    }

    /// Sends each shard its part of a batch, all at once, and puts the answers into order.
    async fn spread<'b, I, O, F>(
        &'b self,
        items: Vec<I>,
        key: impl Fn(&I) -> &str,
        run: impl Fn(&'b Encoded<S>, Vec<I>) -> F,
    ) -> Vec<O>
    where
        F: Future<Output = Vec<O>>,
    {
        let shards = &self.shared.shards;
        let count = items.len();
        if count == 1 || shards.len() == 1 {
            let shard = items.first().map_or(0, |item| self.of(key(item)));
            return run(&shards[shard], items).await;
        }
        let mut parts: Vec<(Vec<usize>, Vec<I>)> = Vec::new();
        parts.resize_with(shards.len(), Default::default);
        for (place, item) in items.into_iter().enumerate() {
            let (places, part) = &mut parts[self.of(key(&item))];
            places.push(place);
            part.push(item);
        }
        let (mut places, mut running) = (Vec::with_capacity(count), Vec::new());
        for (shard, (part_places, part)) in shards.iter().zip(parts) {
            if !part.is_empty() {
                places.extend(part_places);
                running.push(run(shard, part));
            }
        }
        let answers = join(running.into_iter(), usize::MAX).await;
        let answers = answers.into_iter().flatten();
        let mut answers: Vec<(usize, O)> = places.into_iter().zip(answers).collect();
        answers.sort_unstable_by_key(|(place, _)| *place);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }
}

impl<S: ByteStore> CacheBackend for Sharded<S> {
    type Lease = EncodedLease<S::Token>;

    async fn get<T: CacheEntity>(&self, key: &str, now: Timestamp) -> Result<Lookup<T>> {
        self.shard_of(key).get(key, now).await
    }

    fn is_cold(&self, key: &str) -> bool {
        self.shard_of(key).is_cold(key)
    }

    async fn lease<T: CacheEntity>(
        &self,
        key: &str,
        request: LeaseRequest,
    ) -> Result<Leased<Self::Lease>> {
        self.shard_of(key).lease::<T>(key, request).await
    }

    async fn store<T: CacheEntity>(
        &self,
        key: &str,
        lease: Self::Lease,
        entry: Entry<T>,
        now: Timestamp,
    ) -> Result<Stored> {
        CacheBackend::store(self.shard_of(key), key, lease, entry, now).await
    }

    async fn release<T: CacheEntity>(&self, key: &str, lease: Self::Lease) -> Result<()> {
        self.shard_of(key).release::<T>(key, lease).await
    }

    async fn invalidate<T: CacheEntity>(&self, key: &str) -> Result<Invalidated> {
        self.shard_of(key).invalidate::<T>(key).await
    }

    async fn invalidate_text(&self, key: &str) -> Result<Invalidated> {
        self.shard_of(key).invalidate_text(key).await
    }

    /// One shard after the other.
    async fn clear_prefix(&self, beginning: &str) -> Result<Cleared> {
        let mut cleared = Cleared::nothing();
        for shard in &self.shared.shards {
            if let Err(error) = shard.clear_into(beginning, &mut cleared).await {
                return Err(cleared.cut_short(beginning, error));
            }
        }
        Ok(cleared)
    }

    fn default_ttl(&self) -> Option<Duration> {
        self.shared.shards.first().and_then(Encoded::default_ttl)
    }

    fn watch(&self, listener: Weak<dyn CacheMetrics>) {
        for shard in &self.shared.shards {
            shard.watch(Weak::clone(&listener));
        }
    }

    fn meet(&self, entity: EntityType<'_>) -> Result<()> {
        self.shared.types.meet(entity)
    }

    async fn ping(&self) -> Result<()> {
        self.ping_each().await.into_iter().collect()
    }

    fn health(&self) -> Option<Health> {
        Some(Self::health(self))
    }

    async fn get_many<T: CacheEntity>(
        &self,
        keys: &[&str],
        now: Timestamp,
    ) -> Vec<Result<Lookup<T>>> {
        self.spread(
            keys.to_vec(),
            |key| key,
            |shard, keys| async move { shard.get_many(&keys, now).await },
        )
        .await
    }

    async fn lease_many<T: CacheEntity>(
        &self,
        requests: &[(&str, LeaseRequest)],
    ) -> Vec<Result<Leased<Self::Lease>>> {
        self.spread(
            requests.to_vec(),
            |(key, _)| key,
            |shard, requests| async move { shard.lease_many::<T>(&requests).await },
        )
        .await
    }

    async fn store_many<T: CacheEntity>(
        &self,
        entries: Vec<(&str, Self::Lease, Entry<T>)>,
        now: Timestamp,
    ) -> Vec<Result<Stored>> {
        self.spread(
            entries,
            |(key, ..)| key,
            |shard, entries| shard.store_many(entries, now),
        )
        .await
    }

    async fn release_many<T: CacheEntity>(
        &self,
        leases: Vec<(&str, Self::Lease)>,
    ) -> Vec<Result<()>> {
        self.spread(
            leases,
            |(key, _)| key,
            |shard, leases| shard.release_many::<T>(leases),
        )
        .await
    }

    async fn invalidate_many<T: CacheEntity>(&self, keys: &[&str]) -> Vec<Result<Invalidated>> {
        self.spread(
            keys.to_vec(),
            |key| key,
            |shard, keys| async move { shard.invalidate_many::<T>(&keys).await },
        )
        .await
    }
}

impl<S: ByteStore> Clone for Sharded<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}
