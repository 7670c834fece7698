//! [`CacheBackend`]: where entries are kept.
//!
//! A backend looks up, grants leases, stores under them, and invalidates. It knows nothing about
//! strategies, loads and policies for the time to live. Most users only choose one, such as
//! [`InMemoryBackend`], or let a URL choose one ([`AnyBackend`]).
//!
//! # Leases and fences
//!
//! Nothing is ever stored without a *lease*, and the lease is taken before the database is read.
//! Every key has at most one current *fence*: an id that changes with every invalidation and every
//! store. A lease carries the fence it was taken under, and a store goes through only while that
//! fence is still the current one. So a slow load that began before an invalidation can never put
//! the old value back: its lease is worthless.

mod any;
mod forward;
mod health;
mod inmemory;
#[cfg(feature = "codec")]
mod remote;
mod types;
mod value;

use std::future::Future;
use std::sync::Weak;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::key::CacheKey;
use crate::observability::CacheMetrics;

pub use any::{AnyBackend, AnyConfig, AnyLease};
#[cfg(feature = "codec")]
pub use health::NodeInfo;
pub use health::{Health, NodeHealth, NodeRole};
pub use inmemory::{
    Engine, Evicted, EvictionCause, InMemoryBackend, InMemoryBuilder, InMemoryLease, InMemoryStats,
    Weighed,
};
#[cfg(feature = "redis-tls")]
pub use remote::RedisTls;
#[cfg(feature = "codec")]
pub use remote::{
    ByteStore, Claim, Encoded, EncodedConfig, EncodedLease, HEAD_BYTES, HEAD_PREFIXES, ScanCursor,
    Scanned, head, is_head,
};
#[cfg(feature = "memcached")]
pub use remote::{MemcachedBackend, MemcachedConfig, MemcachedStore, MemcachedToken};
#[cfg(feature = "redis")]
pub use remote::{RedisBackend, RedisConfig, RedisStore};
pub use types::{EntityType, EntityTypes};

pub use crate::lease::{
    Cleared, Fence, Invalidated, LeaseId, LeaseRequest, Leased, Lookup, MissReason, Scope, Stored,
    Take,
};

/// Keeps entries, and grants the leases under which they are stored.
///
/// `key` is the whole cache key, `user:42`, or a [`CacheKey`] that has this text. Entries of two entity types never answer for each
/// other, even under one key. Every method takes `&self`; clones of a backend share its entries.
/// `now` is the caller's clock: an entry that has expired by then is a miss.
///
/// A miss is never an error, and neither is an entry that cannot be decoded. An error says that
/// the store failed or could not be reached.
///
/// # Cancellation
/// Every future may be dropped at any await. What the dropped command still does later must be
/// harmless: an abandoned lease is released or expires.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a cache backend",
    label = "not a backend",
    note = "pass `InMemoryBackend::new()` or another type of `cache_kit::backend`"
)]
pub trait CacheBackend: Send + Sync + 'static {
    /// The right to store under one key, until its fence is overtaken. Dropping a lease gives it
    /// up, at once or when it expires.
    type Lease: Send + Sync + 'static;

    /// The entry under `key`, if it is available without waiting and fresh. `None` does not say
    /// that there is no entry: ask with [`get_again`](Self::get_again). By default `None`.
    ///
    /// It gets the key as the caller has it: memory looks it up without its text.
    fn try_get<T: CacheEntity>(&self, key: CacheKey<'_, T>, now: Timestamp) -> Option<Entry<T>> {
        let _ = (key, now);
        None
    }

    /// Looks `key` up. An expander calls it through [`get_again`](Self::get_again), after
    /// [`try_get`](Self::try_get).
    fn get<T: CacheEntity>(
        &self,
        key: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Lookup<T>>> + Send;

    /// [`get`](Self::get) for a call that has looked `key` up before, with
    /// [`try_get`](Self::try_get), `get` or [`get_many`](Self::get_many): the same answer, but it
    /// does not count as a use of the entry. By default `get`; a backend that counts look-ups, or
    /// evicts by them, overrides it.
    fn get_again<T: CacheEntity>(
        &self,
        key: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Lookup<T>>> + Send {
        self.get(key, now)
    }

    /// Whether nearly all of the last look-ups found nothing, so that one of `key` hardly pays. A call
    /// that would load then asks for its lease at once, which finds out whether there is an entry:
    /// one round trip less for a miss, and one more for a hit. By default `false`, which is right
    /// where a look-up costs no round trip; a backend that wraps another one forwards the call.
    fn is_cold(&self, key: &str) -> bool {
        let _ = key;
        false
    }

    /// Takes a lease on `key`, as `request` says.
    fn lease<T: CacheEntity>(
        &self,
        key: &str,
        request: LeaseRequest,
    ) -> impl Future<Output = Result<Leased<Self::Lease>>> + Send;

    /// Stores `entry` if the fence of `lease` is still the current one of `key`. Gives up the lease
    /// in any case. One that has expired at `now` is not stored, and what the lease was taken over goes:
    /// so a load that found no row removes what stood for it.
    fn store<T: CacheEntity>(
        &self,
        key: &str,
        lease: Self::Lease,
        entry: Entry<T>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Stored>> + Send;

    /// Gives up a lease that will not be filled, without touching what was stored there since.
    fn release<T: CacheEntity>(
        &self,
        key: &str,
        lease: Self::Lease,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Removes what is under `key` and makes every lease on it worthless.
    ///
    /// Entries of other types under the same key may be removed, too.
    ///
    /// `Ok(Invalidated::Done)` is an acknowledgement: no later look-up returns what was there, as far
    /// as [`scope`](Self::scope) says, and no earlier lease can put it back.
    ///
    /// # Errors
    /// The invalidation has not been done and will not be sent again.
    fn invalidate<T: CacheEntity>(
        &self,
        key: &str,
    ) -> impl Future<Output = Result<Invalidated>> + Send;

    /// Removes what is under `key` for every entity type, and makes every lease on it worthless. For
    /// invalidations that arrive as text from outside of the program: a change feed, an operator, a
    /// client-side-caching push of Redis. By default an error; a backend that keeps the entries of
    /// each type apart must search all types.
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate); [`Error::ConfigError`] if the backend cannot do it.
    fn invalidate_text(&self, key: &str) -> impl Future<Output = Result<Invalidated>> + Send {
        let refused = Error::ConfigError(format!("invalidate {key}: the backend needs a type"));
        async move { Err(refused) }
    }

    /// Removes everything whose whole cache key begins with `beginning`, for every entity type, and makes
    /// every lease on such a key worthless: an invalidation of all of them. For
    /// [`CacheExpander::clear`](crate::CacheExpander::clear), whose `beginning` is `user:` or
    /// `{namespace}:user:`.
    ///
    /// `Ok` with [`Invalidated::Done`] is an acknowledgement for every key that had an entry or a lease
    /// when the call began. It takes as long as there are keys to walk over, in steps between which
    /// others are served.
    ///
    /// By default an error, for a backend that cannot list its keys.
    ///
    /// # Errors
    /// [`Error::ConfigError`] if the backend cannot do it. Otherwise a step has failed: some keys are
    /// dropped, and the text says how many. It may be called again.
    ///
    /// # Cancellation
    /// It may be dropped at any await. Some keys are dropped then, and the others stay.
    fn clear_prefix(&self, beginning: &str) -> impl Future<Output = Result<Cleared>> + Send {
        let refused = Error::ConfigError(format!(
            "clear {beginning}*: the backend cannot list its keys"
        ));
        async move { Err(refused) }
    }

    /// How far an acknowledgement reaches: what [`Invalidated::Done`] promises. By default
    /// everywhere.
    fn scope(&self) -> Scope {
        Scope::Everywhere
    }

    /// How long an entry lives if neither its call, its service nor its type sets a time to live;
    /// `None` is for ever.
    fn default_ttl(&self) -> Option<Duration> {
        None
    }

    /// Tells `listener`, while it lives, what happens in the background, such as an invalidation
    /// that is given up. Called by
    /// [`CacheExpander::with_metrics`](crate::CacheExpander::with_metrics); a backend that wraps
    /// another one forwards the call. By default does nothing.
    fn watch(&self, listener: Weak<dyn CacheMetrics>) {
        let _ = listener;
    }

    /// Called when a service over this backend meets an entity type. A backend that keeps an
    /// [`EntityTypes`] notices two services that use one prefix for two types; a backend that wraps
    /// another one forwards the call. By default nothing is refused.
    ///
    /// # Errors
    /// The type must not be used with this backend. None of its keys is looked up.
    fn meet(&self, entity: EntityType<'_>) -> Result<()> {
        let _ = entity;
        Ok(())
    }

    /// Asks the store now whether it answers, for a readiness probe. By default `Ok` at once: a backend
    /// in this process has nothing to reach. A backend that wraps another one forwards the call.
    ///
    /// # Errors
    /// What the store failed with, or that it did not answer in time.
    fn ping(&self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// How the store is doing, as this process sees it, without asking it. By default `None`: a backend
    /// in this process has nothing that can fail. A backend that wraps another one forwards the call.
    fn health(&self) -> Option<Health> {
        None
    }

    /// How many entries are kept, expired ones included, for a gauge. It must not wait. By default
    /// `None`, for a backend that does not know; a backend that wraps another one forwards the call.
    fn entries(&self) -> Option<u64> {
        None
    }

    /// [`get`](Self::get) for many keys: an answer for each, in order; a failure affects only its
    /// own key. By default one after the other; a store that takes many keys at once overrides it.
    fn get_many<T: CacheEntity>(
        &self,
        keys: &[&str],
        now: Timestamp,
    ) -> impl Future<Output = Vec<Result<Lookup<T>>>> + Send {
        async move {
            let mut answers = Vec::with_capacity(keys.len());
            for key in keys {
                answers.push(self.get(key, now).await);
            }
            answers
        }
    }

    /// [`lease`](Self::lease) for many keys.
    fn lease_many<T: CacheEntity>(
        &self,
        requests: &[(&str, LeaseRequest)],
    ) -> impl Future<Output = Vec<Result<Leased<Self::Lease>>>> + Send {
        async move {
            let mut answers = Vec::with_capacity(requests.len());
            for (key, request) in requests {
                answers.push(self.lease::<T>(key, *request).await);
            }
            answers
        }
    }

    /// [`store`](Self::store) for many keys.
    fn store_many<T: CacheEntity>(
        &self,
        entries: Vec<(&str, Self::Lease, Entry<T>)>,
        now: Timestamp,
    ) -> impl Future<Output = Vec<Result<Stored>>> + Send {
        async move {
            let mut answers = Vec::with_capacity(entries.len());
            for (key, lease, entry) in entries {
                answers.push(self.store(key, lease, entry, now).await);
            }
            answers
        }
    }

    /// [`release`](Self::release) for many keys.
    fn release_many<T: CacheEntity>(
        &self,
        leases: Vec<(&str, Self::Lease)>,
    ) -> impl Future<Output = Vec<Result<()>>> + Send {
        async move {
            let mut answers = Vec::with_capacity(leases.len());
            for (key, lease) in leases {
                answers.push(self.release::<T>(key, lease).await);
            }
            answers
        }
    }

    /// [`invalidate`](Self::invalidate) for many keys.
    fn invalidate_many<T: CacheEntity>(
        &self,
        keys: &[&str],
    ) -> impl Future<Output = Vec<Result<Invalidated>>> + Send {
        async move {
            let mut answers = Vec::with_capacity(keys.len());
            for key in keys {
                answers.push(self.invalidate::<T>(key).await);
            }
            answers
        }
    }
}
