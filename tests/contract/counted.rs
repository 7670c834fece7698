//! A backend that counts its calls and its leases.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_kit::backend::{
    CacheBackend, Cleared, Invalidated, LeaseRequest, Leased, Lookup, Stored,
};
use cache_kit::clock::Timestamp;
use cache_kit::entry::Entry;
use cache_kit::{CacheEntity, Result};
use cache_kit_tests::one_turn;
use tokio::sync::Semaphore;

/// Counts the calls of `inner`. Clones share the counts.
#[derive(Debug, Clone)]
pub(crate) struct Counted<B> {
    inner: B,
    calls: Arc<Calls>,
    pause: Pause,
}

/// What happens before a command is done, and again before it is answered.
#[derive(Debug, Clone)]
enum Pause {
    None,
    /// Other tasks run.
    Yield,
    /// It waits at a gate before it is answered, if it is a command of this name.
    Gate(&'static str, Arc<Semaphore>),
}

/// How often each method was called; `leases` counts those that are held.
#[derive(Debug, Default)]
struct Calls {
    get: AtomicUsize,
    lease: AtomicUsize,
    store: AtomicUsize,
    release: AtomicUsize,
    invalidate: AtomicUsize,
    get_many: AtomicUsize,
    lease_many: AtomicUsize,
    store_many: AtomicUsize,
    release_many: AtomicUsize,
    invalidate_many: AtomicUsize,
    leases: AtomicUsize,
}

/// A lease that counts as long as it lives.
pub(crate) struct CountedLease<L> {
    inner: Option<L>,
    calls: Arc<Calls>,
}

impl<L> Drop for CountedLease<L> {
    fn drop(&mut self) {
        self.calls.leases.fetch_sub(1, Ordering::AcqRel);
    }
}

fn plus_one(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::AcqRel);
}

impl<B> Counted<B> {
    pub(crate) fn new(inner: B) -> Self {
        Self {
            inner,
            calls: Arc::default(),
            pause: Pause::None,
        }
    }

    /// One whose commands are awaited before they are done and again before they are answered.
    pub(crate) fn slow(inner: B) -> Self {
        Self {
            pause: Pause::Yield,
            ..Self::new(inner)
        }
    }

    /// One that answers a command named `command` when `gate` has a permit for it.
    pub(crate) fn gated(inner: B, command: &'static str, gate: Arc<Semaphore>) -> Self {
        Self {
            pause: Pause::Gate(command, gate),
            ..Self::new(inner)
        }
    }

    async fn before(&self) {
        if matches!(self.pause, Pause::Yield) {
            one_turn().await;
        }
    }

    async fn after(&self, command: &str) {
        match &self.pause {
            Pause::None => {}
            Pause::Yield => one_turn().await,
            Pause::Gate(gated, gate) => {
                if *gated == command {
                    gate.acquire().await.unwrap().forget();
                }
            }
        }
    }

    /// How many leases are held.
    pub(crate) fn leases(&self) -> usize {
        self.calls.leases.load(Ordering::Acquire)
    }

    /// The calls since the last time, without zeros: `get_many 1, lease 3`.
    pub(crate) fn calls(&self) -> String {
        let calls = &self.calls;
        let counters = [
            ("get", &calls.get),
            ("lease", &calls.lease),
            ("store", &calls.store),
            ("release", &calls.release),
            ("invalidate", &calls.invalidate),
            ("get_many", &calls.get_many),
            ("lease_many", &calls.lease_many),
            ("store_many", &calls.store_many),
            ("release_many", &calls.release_many),
            ("invalidate_many", &calls.invalidate_many),
        ];
        let shown = counters.into_iter().filter_map(|(name, counter)| {
            let count = counter.swap(0, Ordering::AcqRel);
            (count > 0).then(|| format!("{name} {count}"))
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    fn counted<L>(&self, leased: Result<Leased<L>>) -> Result<Leased<CountedLease<L>>> {
        Ok(match leased? {
            Leased::Granted { lease, fence } => {
                plus_one(&self.calls.leases);
                let lease = CountedLease {
                    inner: Some(lease),
                    calls: Arc::clone(&self.calls),
                };
                Leased::Granted { lease, fence }
            }
            Leased::Found => Leased::Found,
            Leased::Busy { fence } => Leased::Busy { fence },
            Leased::Writing => Leased::Writing,
            Leased::NoRoom => Leased::NoRoom,
            Leased::Pending => Leased::Pending,
        })
    }
}

impl<L> CountedLease<L> {
    fn into_inner(mut self) -> L {
        self.inner.take().unwrap()
    }
}

#[deny(clippy::missing_trait_methods)]
impl<B: CacheBackend> CacheBackend for Counted<B> {
    type Lease = CountedLease<B::Lease>;

    cache_kit::forward_backend!(inner: try_get, invalidate_text, is_cold, scope, default_ttl, watch, meet);
    cache_kit::forward_backend!(inner: ping, health, entries);

    async fn get<T: CacheEntity>(&self, key: &str, now: Timestamp) -> Result<Lookup<T>> {
        plus_one(&self.calls.get);
        self.before().await;
        let answer = self.inner.get(key, now).await;
        self.after("get").await;
        answer
    }

    async fn get_again<T: CacheEntity>(&self, key: &str, now: Timestamp) -> Result<Lookup<T>> {
        plus_one(&self.calls.get);
        self.before().await;
        let answer = self.inner.get_again(key, now).await;
        self.after("get").await;
        answer
    }

    async fn lease<T: CacheEntity>(
        &self,
        key: &str,
        request: LeaseRequest,
    ) -> Result<Leased<Self::Lease>> {
        plus_one(&self.calls.lease);
        self.before().await;
        let answer = self.counted(self.inner.lease::<T>(key, request).await);
        self.after("lease").await;
        answer
    }

    async fn store<T: CacheEntity>(
        &self,
        key: &str,
        lease: Self::Lease,
        entry: Entry<T>,
        now: Timestamp,
    ) -> Result<Stored> {
        plus_one(&self.calls.store);
        self.before().await;
        let answer = self.inner.store(key, lease.into_inner(), entry, now).await;
        self.after("store").await;
        answer
    }

    async fn release<T: CacheEntity>(&self, key: &str, lease: Self::Lease) -> Result<()> {
        plus_one(&self.calls.release);
        self.before().await;
        let answer = self.inner.release::<T>(key, lease.into_inner()).await;
        self.after("release").await;
        answer
    }

    async fn invalidate<T: CacheEntity>(&self, key: &str) -> Result<Invalidated> {
        plus_one(&self.calls.invalidate);
        self.before().await;
        let answer = self.inner.invalidate::<T>(key).await;
        self.after("invalidate").await;
        answer
    }

    async fn clear_prefix(&self, beginning: &str) -> Result<Cleared> {
        self.before().await;
        let answer = self.inner.clear_prefix(beginning).await;
        self.after("clear_prefix").await;
        answer
    }

    async fn get_many<T: CacheEntity>(
        &self,
        keys: &[&str],
        now: Timestamp,
    ) -> Vec<Result<Lookup<T>>> {
        plus_one(&self.calls.get_many);
        self.before().await;
        let answer = self.inner.get_many(keys, now).await;
        self.after("get_many").await;
        answer
    }

    async fn lease_many<T: CacheEntity>(
        &self,
        requests: &[(&str, LeaseRequest)],
    ) -> Vec<Result<Leased<Self::Lease>>> {
        plus_one(&self.calls.lease_many);
        self.before().await;
        let answers = self.inner.lease_many::<T>(requests).await;
        let answers = answers
            .into_iter()
            .map(|answer| self.counted(answer))
            .collect();
        self.after("lease_many").await;
        answers
    }

    async fn store_many<T: CacheEntity>(
        &self,
        entries: Vec<(&str, Self::Lease, Entry<T>)>,
        now: Timestamp,
    ) -> Vec<Result<Stored>> {
        plus_one(&self.calls.store_many);
        let inner = |(key, lease, entry): (_, Self::Lease, _)| (key, lease.into_inner(), entry);
        self.before().await;
        let entries = entries.into_iter().map(inner).collect();
        let answers = self.inner.store_many(entries, now).await;
        self.after("store_many").await;
        answers
    }

    async fn release_many<T: CacheEntity>(
        &self,
        leases: Vec<(&str, Self::Lease)>,
    ) -> Vec<Result<()>> {
        plus_one(&self.calls.release_many);
        let inner = |(key, lease): (_, Self::Lease)| (key, lease.into_inner());
        self.before().await;
        let leases = leases.into_iter().map(inner).collect();
        let answers = self.inner.release_many::<T>(leases).await;
        self.after("release_many").await;
        answers
    }

    async fn invalidate_many<T: CacheEntity>(&self, keys: &[&str]) -> Vec<Result<Invalidated>> {
        plus_one(&self.calls.invalidate_many);
        self.before().await;
        let answer = self.inner.invalidate_many::<T>(keys).await;
        self.after("invalidate_many").await;
        answer
    }
}
