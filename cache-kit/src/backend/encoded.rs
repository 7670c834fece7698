//! [`Encoded`]: makes a [`CacheBackend`] of a [`ByteStore`]. The only user of the codec.

mod config;

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::bytes::{ByteStore, Claim};
use super::gather::Gather;
use super::guard::{Guard, GuardPolicy, Health};
use crate::backend::{
    CacheBackend, Fence, Invalidated, LeaseId, LeaseRequest, Leased, Lookup, MissReason, Stored,
    Take,
};
use crate::clock::Timestamp;
use crate::codec::{
    Codec, Decoded, Encoding, Head, PLACEHOLDER_LEN, Placeholder, PlaceholderKind, Shapes, Stamp,
    head_of,
};
use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::together::join;

pub use config::EncodedConfig;

/// A [`CacheBackend`] over a store of bytes. Clones share the store and what is known of it.
pub struct Encoded<S: ByteStore> {
    guard: Guard<S>,
    gather: Arc<Gather<S>>,
    sendings: Arc<Sendings>,
    shapes: Arc<Shapes>,
    config: EncodedConfig,
}

/// The right to store under one key of an [`Encoded`] store.
#[derive(Debug)]
pub struct EncodedLease<K> {
    token: K,
    /// Whether what the token stands for is this lease's own placeholder, to be removed when the
    /// lease is given up.
    own: bool,
    /// Tells whether an invalidation in vain came after the lease.
    mark: u64,
}

thread_local! {
    /// Values are encoded into one buffer per thread.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// How many of the commands that look up one large batch are under way at a time. What has come is
/// decoded while the store answers the next.
const PARTS_AT_ONCE: usize = 4;

/// A buffer that grew larger than this is not kept.
const KEPT_BUFFER: usize = 1 << 20;

impl<S: ByteStore> Encoded<S> {
    /// A backend over `store` with the defaults of [`EncodedConfig`].
    pub fn over(store: S) -> Self {
        Self::with_config(store, EncodedConfig::new())
    }

    /// A backend over `store`.
    pub fn with_config(store: S, config: EncodedConfig) -> Self {
        const {
            assert!(S::KEYS_AT_ONCE > 0, "a command asks for one key at least");
        }
        let policy = GuardPolicy {
            deadline: config.operation_deadline,
            breaker: config.breaker,
            pending_limit: config.pending_invalidations,
            lease_lifetime: config.lease_lifetime,
        };
        let guard = Guard::new(store, policy);
        Self {
            gather: Arc::new(Gather::new(guard.clone())),
            sendings: Arc::default(),
            shapes: Arc::default(),
            guard,
            config,
        }
    }

    /// How the store is doing, as this process sees it.
    pub fn health(&self) -> Health {
        self.guard.health()
    }

    /// The store.
    pub fn store(&self) -> &S {
        self.guard.store()
    }

    fn codec<T: CacheEntity>(&self) -> Codec<T> {
        let of_type = T::cache_max_bytes().unwrap_or(usize::MAX);
        let max_bytes = self.config.max_value_bytes.min(of_type);
        let codec = Codec::of(self.shapes.of::<T>(), max_bytes);
        if S::NARROW_KEYS {
            codec.carrying_key()
        } else {
            codec
        }
    }

    /// Encodes `entry`, and proves that it comes back.
    fn encode<T: CacheEntity>(
        &self,
        buffer: &mut Vec<u8>,
        key: &str,
        stamp: Stamp,
        entry: &Entry<T>,
    ) -> Result<Encoding> {
        let shape = self.shapes.of::<T>();
        shape.admit(entry)?;
        let codec = self.codec();
        let encoding = codec.encode_into(buffer, key, stamp, entry)?;
        if encoding == Encoding::Complete && self.config.proves_stores {
            codec.prove(shape, key, buffer, entry)?;
        }
        Ok(encoding)
    }

    fn granted(
        &self,
        token: S::Token,
        own: bool,
        mark: u64,
        fence: Fence,
    ) -> Leased<EncodedLease<S::Token>> {
        Leased::Granted {
            lease: EncodedLease { token, own, mark },
            fence,
        }
    }

    /// What a lease comes to where something stands under the key already.
    fn over_standing<T: CacheEntity>(
        &self,
        key: &str,
        request: LeaseRequest,
        mark: u64,
        head: &[u8],
        token: S::Token,
    ) -> Leased<EncodedLease<S::Token>> {
        match head_of(key, head) {
            Head::Placeholder(it) if it.kind == PlaceholderKind::Write => Leased::Writing,
            // A copy of this command came before it.
            Head::Placeholder(it) if is_of(it.fence, request.id) => {
                self.granted(token, true, mark, it.fence)
            }
            Head::Placeholder(it) if request.take == Take::IfMissing => {
                Leased::Busy { fence: it.fence }
            }
            Head::Entry(it)
                if request.take == Take::IfMissing
                    && it.schema == self.codec::<T>().schema()
                    && request.now < it.expires =>
            {
                Leased::Found
            }
            Head::Placeholder(it) => self.granted(token, false, mark, it.fence),
            Head::Entry(it) => self.granted(token, false, mark, it.fence),
            // What cannot be read can still be replaced, and by nobody twice.
            Head::Nothing => self.granted(token, false, mark, Fence(request.id.0)),
        }
    }

    /// A placeholder for one sending, and its fence.
    fn placeholder(&self, key: &str, request: LeaseRequest) -> (Fence, [u8; PLACEHOLDER_LEN]) {
        let fence = self.sendings.next(request.id);
        let placeholder = Placeholder {
            kind: PlaceholderKind::Lease,
            fence,
            taken: request.now,
        };
        (fence, placeholder.encode(key))
    }

    async fn remove(&self, key: &str, token: &S::Token) -> Result<bool> {
        self.guard.run(|| self.store().remove(key, token)).await
    }

    /// Looks up as many keys as one command asks for.
    async fn get_part<T: CacheEntity>(
        &self,
        keys: &[&str],
        now: Timestamp,
    ) -> Vec<Result<Lookup<T>>> {
        let get = |keys: Vec<_>| async move { self.store().get_many(&keys).await };
        let values = self.guard.run_many(keys, get).await;
        let codec = self.codec::<T>();
        // Each value is dropped when it has been decoded: the next entity takes its room.
        let entries = keys.iter().zip(values);
        entries
            .map(|(key, value)| Ok(lookup(&codec, key, value?.as_deref(), now)))
            .collect()
    }
}

impl<S: ByteStore> CacheBackend for Encoded<S> {
    type Lease = EncodedLease<S::Token>;

    async fn get<T: CacheEntity>(&self, key: &str, now: Timestamp) -> Result<Lookup<T>> {
        let value = self.gather.get(key).await?;
        Ok(lookup(&self.codec(), key, value.as_deref(), now))
    }

    async fn lease<T: CacheEntity>(
        &self,
        key: &str,
        request: LeaseRequest,
    ) -> Result<Leased<Self::Lease>> {
        let lifetime = self.config.lease_lifetime;
        let mark = self.guard.mark();
        if request.take == Take::Invalidating {
            let set = || async {
                let (fence, placeholder) = self.placeholder(key, request);
                let token = self.store().set(key, &placeholder, lifetime).await?;
                Ok(token.map(|token| (token, fence)))
            };
            return Ok(match self.guard.invalidate(key, set).await? {
                Some(Some((token, fence))) => self.granted(token, true, mark, fence),
                Some(None) => Leased::NoRoom,
                None => Leased::Pending,
            });
        }
        let claim = || async {
            let (fence, placeholder) = self.placeholder(key, request);
            let claim = self.store().claim(key, &placeholder, lifetime).await?;
            Ok((claim, fence))
        };
        Ok(match self.guard.run(claim).await? {
            (Claim::Taken(token), fence) => self.granted(token, true, mark, fence),
            (Claim::Standing { head, token }, _) => {
                self.over_standing::<T>(key, request, mark, &head, token)
            }
        })
    }

    async fn store<T: CacheEntity>(
        &self,
        key: &str,
        lease: Self::Lease,
        entry: Entry<T>,
        now: Timestamp,
    ) -> Result<Stored> {
        if self.guard.voids(key, lease.mark) {
            return Ok(Stored::Fenced);
        }
        let stamp = Stamp {
            fence: Fence(fastrand::u64(..)),
            generation: 0,
        };
        let lifetime = (entry.expires != Timestamp::NEVER).then(|| entry.expires.since(now));
        let mut buffer = BUFFER.take();
        let encoded = self.encode(&mut buffer, key, stamp, &entry);
        let stored = match encoded {
            // It has expired by now, and a lifetime of zero means something else to some stores.
            Ok(Encoding::Complete) if lifetime != Some(Duration::ZERO) => {
                let swap = || self.store().swap(key, &lease.token, &buffer, lifetime);
                match self.guard.run(swap).await {
                    // Not every store drops what stood there.
                    Err(Error::TooLarge(_)) => {
                        let removed = self.remove(key, &lease.token).await;
                        removed.map(|_| Stored::TooLarge)
                    }
                    swapped => swapped.map(|done| match done {
                        true => Stored::Stored,
                        false => Stored::Fenced,
                    }),
                }
            }
            unfit => {
                let removed = self.remove(key, &lease.token).await;
                match unfit {
                    Err(error) => Err(error),
                    Ok(Encoding::TooLarge) if !matches!(removed, Ok(false)) => {
                        removed.map(|_| Stored::TooLarge)
                    }
                    Ok(_) => removed.map(|_| Stored::Fenced),
                }
            }
        };
        if buffer.capacity() <= KEPT_BUFFER {
            buffer.clear();
            BUFFER.set(buffer);
        }
        stored
    }

    async fn release<T: CacheEntity>(&self, key: &str, lease: Self::Lease) -> Result<()> {
        if lease.own {
            self.remove(key, &lease.token).await?;
        }
        Ok(())
    }

    async fn invalidate<T: CacheEntity>(&self, key: &str) -> Result<Invalidated> {
        let done = self.guard.invalidate_many(&[key]).await;
        done.into_iter().next().unwrap_or(Ok(Invalidated::Done))
    }

    fn default_ttl(&self) -> Option<Duration> {
        self.config.default_ttl
    }

    async fn get_many<T: CacheEntity>(
        &self,
        keys: &[&str],
        now: Timestamp,
    ) -> Vec<Result<Lookup<T>>> {
        if keys.is_empty() {
            return Vec::new();
        }
        if keys.len() <= S::KEYS_AT_ONCE {
            return self.get_part(keys, now).await;
        }
        let parts = keys
            .chunks(S::KEYS_AT_ONCE)
            .map(|keys| self.get_part(keys, now));
        let parts = join(parts, PARTS_AT_ONCE).await;
        parts.into_iter().flatten().collect()
    }

    async fn lease_many<T: CacheEntity>(
        &self,
        requests: &[(&str, LeaseRequest)],
    ) -> Vec<Result<Leased<Self::Lease>>> {
        let lease = |&(key, request)| self.lease::<T>(key, request);
        join(requests.iter().map(lease), S::COMMANDS_AT_ONCE).await
    }

    async fn store_many<T: CacheEntity>(
        &self,
        entries: Vec<(&str, Self::Lease, Entry<T>)>,
        now: Timestamp,
    ) -> Vec<Result<Stored>> {
        let store = |(key, lease, entry)| CacheBackend::store(self, key, lease, entry, now);
        join(entries.into_iter().map(store), S::COMMANDS_AT_ONCE).await
    }

    async fn release_many<T: CacheEntity>(
        &self,
        leases: Vec<(&str, Self::Lease)>,
    ) -> Vec<Result<()>> {
        let release = |(key, lease)| self.release::<T>(key, lease);
        join(leases.into_iter().map(release), S::COMMANDS_AT_ONCE).await
    }

    async fn invalidate_many<T: CacheEntity>(&self, keys: &[&str]) -> Vec<Result<Invalidated>> {
        if keys.is_empty() {
            return Vec::new();
        }
        self.guard.invalidate_many(keys).await
    }
}

/// Numbers what is sent, so that no two placeholders are the same bytes: a copy that comes late
/// would otherwise stand where a lease was removed, and be taken for it.
///
/// A [`LeaseId`] stands for all that is sent for one load. Its low bits are those of the number.
struct Sendings(AtomicU64);

impl Sendings {
    /// So many can be sent for one load.
    const COUNT: u64 = 1 << 24;

    fn next(&self, id: LeaseId) -> Fence {
        let number = self.0.fetch_add(1, Ordering::Relaxed) % Self::COUNT;
        Fence(id.0 - id.0 % Self::COUNT + number)
    }
}

impl Default for Sendings {
    fn default() -> Self {
        Self(AtomicU64::new(fastrand::u64(..)))
    }
}

/// Whether `fence` was sent for the load that `id` stands for.
fn is_of(fence: Fence, id: LeaseId) -> bool {
    fence.0 / Sendings::COUNT == id.0 / Sendings::COUNT
}

/// What `value`, found under `key`, is to a reader.
fn lookup<T: CacheEntity>(
    codec: &Codec<T>,
    key: &str,
    value: Option<&[u8]>,
    now: Timestamp,
) -> Lookup<T> {
    let Some(value) = value else {
        return Lookup::Miss {
            fence: None,
            reason: MissReason::Absent,
        };
    };
    let miss = |reason| Lookup::Miss {
        fence: match head_of(key, value) {
            Head::Placeholder(it) => Some(it.fence),
            Head::Entry(it) => Some(it.fence),
            Head::Nothing => None,
        },
        reason,
    };
    match codec.decode(key, value) {
        Decoded::Entry { entry, .. } if now >= entry.expires => miss(MissReason::Expired),
        Decoded::Entry { entry, .. } if !is_valid(&entry) => miss(MissReason::Invalid),
        Decoded::Entry { entry, stamp } => Lookup::Hit {
            entry,
            fence: Some(stamp.fence),
        },
        Decoded::Placeholder(_) => miss(MissReason::Absent),
        Decoded::OtherSchema { .. } => miss(MissReason::OtherSchema),
        Decoded::Damaged => miss(MissReason::Damaged),
    }
}

fn is_valid<T: CacheEntity>(entry: &Entry<T>) -> bool {
    let value = entry.value.as_deref();
    value.is_none_or(|entity| entity.cache_validate().is_ok())
}

impl<S: ByteStore> Clone for Encoded<S> {
    fn clone(&self) -> Self {
        Self {
            guard: self.guard.clone(),
            gather: Arc::clone(&self.gather),
            sendings: Arc::clone(&self.sendings),
            shapes: Arc::clone(&self.shapes),
            config: self.config.clone(),
        }
    }
}

impl<S: ByteStore> fmt::Debug for Encoded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded")
            .field("config", &self.config)
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}
