//! [`Encoded`]: turns a [`ByteStore`] into a [`CacheBackend`]. The only user of the codec.

mod clear;
mod config;
#[cfg(any(feature = "redis", feature = "memcached"))]
mod file;
mod recent;
mod sendings;

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;

use super::byte_store::{ByteStore, Claim, Limits};
use super::coalesce::Coalescer;
use super::resilience::{GuardedStore, ResiliencePolicy, Room};
use super::{PARTS_AT_ONCE, UNDER_WAY_BYTES};
use crate::backend::{
    CacheBackend, Cleared, EntityType, EntityTypes, Fence, Health, Invalidated, LeaseRequest,
    Leased, Lookup, MissReason, Stored, Take,
};
use crate::clock::Timestamp;
use crate::codec::{
    Codec, Decoded, Encoding, Head, PLACEHOLDER_LEN, Placeholder, PlaceholderKind, Shapes, Stamp,
    head_of,
};
use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::observability::CacheMetrics;
use crate::together::{join, join_up_to};
use crate::unwind::caught;

pub use config::EncodedConfig;
#[cfg(any(feature = "redis", feature = "memcached"))]
pub(super) use config::connect_deadline;
#[cfg(any(feature = "redis", feature = "memcached"))]
pub(super) use file::{FileSettings, read_file};
use recent::Recent;
use sendings::{Sendings, is_of};

/// A [`CacheBackend`] over a store of bytes. Clones share the store and what is known about it.
pub struct Encoded<S: ByteStore> {
    store: GuardedStore<S>,
    coalescer: Arc<Coalescer<S>>,
    sendings: Arc<Sendings>,
    recent: Arc<Recent>,
    shapes: Arc<Shapes>,
    /// Told when the first value of a type was seen, of whatever type.
    size_is_known: Arc<Notify>,
    types: Arc<EntityTypes>,
    config: EncodedConfig,
}

/// The right to store under one key of an [`Encoded`] store.
#[derive(Debug)]
pub struct EncodedLease<K> {
    token: K,
    /// Whether what the token stands for is this lease's own placeholder, to be removed when the
    /// lease is given up.
    own: bool,
    /// Whether the token stands for an entry that was a miss only because it is larger than this
    /// service takes. Another service may serve it, so it may be replaced but is never just
    /// removed.
    beyond: bool,
    /// The number of the last failed invalidation when the lease was asked for. A later one of its key
    /// voids the lease.
    sequence: u64,
}

thread_local! {
    /// Values are encoded into one buffer per thread.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A buffer that grew larger than this is not kept.
const KEPT_BUFFER: usize = 1 << 20;

/// What a value is expected to have in bytes until one of its type was seen.
const UNKNOWN: usize = 64 << 10;

/// How many bytes one part of a batch is expected to have at most.
const BYTES_OF_A_PART: usize = UNDER_WAY_BYTES / PARTS_AT_ONCE;

impl<S: ByteStore> Encoded<S> {
    /// A backend over `store` with the defaults of [`EncodedConfig`].
    pub fn over(store: S) -> Self {
        Self::with_config(store, EncodedConfig::new())
    }

    /// A backend over `store`.
    pub fn with_config(store: S, config: EncodedConfig) -> Self {
        Self::with_limits(store, Limits::of::<S>(), config)
    }

    /// A backend over `store`, which keeps to `limits` and not to those of its type.
    pub(in crate::backend) fn with_limits(store: S, limits: Limits, config: EncodedConfig) -> Self {
        let policy = ResiliencePolicy {
            deadline: config.operation_deadline,
            breaker: config.breaker,
            pending_limit: config.pending_invalidations,
            refused_patience: config.refused_invalidations,
            lease_lifetime: config.lease_lifetime,
        };
        let store = GuardedStore::new(store, limits, policy);
        Self {
            coalescer: Arc::new(Coalescer::new(store.clone())),
            sendings: Arc::default(),
            recent: Arc::default(),
            shapes: Arc::default(),
            size_is_known: Arc::default(),
            types: Arc::default(),
            store,
            config,
        }
    }

    /// How the store is doing, as this process sees it.
    pub fn health(&self) -> Health {
        self.store.health()
    }

    /// Asks the store now whether it answers, whatever the breaker says: for a readiness probe.
    /// [`health`](Self::health) tells what is known without asking.
    ///
    /// It takes no longer than one operation (by default 500 ms), waiting and connecting included.
    /// An answer closes an open breaker, as that to the background task does, so that the invalidations
    /// that wait are sent. It counts in no other way, and a failure counts in none: callers' commands
    /// decide when the breaker opens. A refusal is an answer.
    ///
    /// # Errors
    /// What the store failed with, or [`Error::Timeout`].
    ///
    /// # Cancellation
    /// It may be dropped at any await.
    pub async fn ping(&self) -> Result<()> {
        self.store.ping().await
    }

    /// The store.
    pub fn byte_store(&self) -> &S {
        self.store.inner()
    }

    /// The largest value of this type that is stored or read.
    fn limit<T: CacheEntity>(&self) -> usize {
        let of_type = T::cache_max_bytes().unwrap_or(usize::MAX);
        self.config.max_value_bytes.min(of_type)
    }

    fn codec<T: CacheEntity>(&self) -> Codec<T> {
        let codec = Codec::of(self.shapes.of::<T>(), self.limit::<T>());
        if self.store.limits().narrow_keys {
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
        if encoding == Encoding::Complete {
            self.note_size::<T>(Some(buffer.as_slice()));
        }
        if encoding == Encoding::Complete && self.config.proves_stores {
            codec.prove(shape, key, buffer, entry)?;
        }
        Ok(encoding)
    }

    fn granted(
        &self,
        token: S::Token,
        own: bool,
        sequence: u64,
        fence: Fence,
    ) -> Leased<EncodedLease<S::Token>> {
        let lease = EncodedLease {
            token,
            own,
            beyond: false,
            sequence,
        };
        Leased::Granted { lease, fence }
    }

    /// The outcome of a lease where something is under the key already.
    fn over_standing<T: CacheEntity>(
        &self,
        key: &str,
        request: LeaseRequest,
        sequence: u64,
        head: &[u8],
        token: S::Token,
    ) -> Leased<EncodedLease<S::Token>> {
        match head_of(key, head) {
            Head::Placeholder(placeholder) if placeholder.kind == PlaceholderKind::Write => {
                Leased::Writing
            }
            // An earlier copy of this command has arrived.
            Head::Placeholder(placeholder) if is_of(placeholder.fence, request.id) => {
                self.granted(token, true, sequence, placeholder.fence)
            }
            Head::Placeholder(placeholder) if request.take == Take::IfMissing => Leased::Busy {
                fence: placeholder.fence,
            },
            // A miss to this reader, but others may read it, so it stays. A smaller value replaces
            // it.
            Head::Entry(entry)
                if request.take == Take::IfMissing && entry.envelope_len() > self.limit::<T>() =>
            {
                Leased::Granted {
                    lease: EncodedLease {
                        token,
                        own: false,
                        beyond: true,
                        sequence,
                    },
                    fence: entry.fence,
                }
            }
            Head::Entry(entry)
                if request.take == Take::IfMissing
                    && entry.schema == self.codec::<T>().schema()
                    && request.now < entry.expires =>
            {
                Leased::Found
            }
            Head::Placeholder(placeholder) => {
                self.granted(token, false, sequence, placeholder.fence)
            }
            Head::Entry(entry) => self.granted(token, false, sequence, entry.fence),
            // A value that cannot be read can still be replaced, and by one lease only.
            Head::Nothing => self.granted(token, false, sequence, Fence(request.id.0)),
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

    /// Removes what the lease was taken over: an older value must not outlive the load of a newer
    /// one.
    async fn remove_under(&self, key: &str, lease: &EncodedLease<S::Token>) -> Result<bool> {
        match lease.beyond {
            true => Ok(true),
            false => self.store.compare_and_delete(key, &lease.token).await,
        }
    }

    /// Counts the length of a value that was read, or that there was none.
    fn note_size<T: CacheEntity>(&self, value: Option<&[u8]>) {
        let size = self.shapes.size::<T>();
        let is_first = match value {
            Some(value) => size.note(value.len()),
            None => size.note_absence(),
        };
        if is_first {
            self.size_is_known.notify_waiters();
        }
    }

    /// Looks up as many keys as fit into one command.
    async fn get_part<T: CacheEntity>(
        &self,
        keys: &[&str],
        now: Timestamp,
    ) -> Vec<Result<Lookup<T>>> {
        let size = self.shapes.size::<T>();
        let expected = size.known().unwrap_or(UNKNOWN);
        let values = self.store.get_many(keys, expected).await;
        let codec = self.codec::<T>();
        // Each value is dropped as soon as it is decoded, so that the next entity can use its
        // memory.
        let entries = keys.iter().zip(values);
        entries
            .map(|(key, value)| {
                let value = value.inspect_err(|error| {
                    if matches!(error, Error::Timeout(_)) {
                        // Maybe the values are so large. The next part has a quarter of the keys.
                        size.guess(4 * UNKNOWN);
                    }
                })?;
                self.note_size::<T>(value.as_deref());
                Ok(lookup(&codec, key, value.as_deref(), now))
            })
            .collect()
    }

    /// Stores, and waits for room for as long as `wait`.
    async fn store_within<T: CacheEntity>(
        &self,
        key: &str,
        lease: EncodedLease<S::Token>,
        entry: Entry<T>,
        now: Timestamp,
        wait: Duration,
    ) -> Result<Stored> {
        if self.store.is_voided(key, lease.sequence) {
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
            // An entry that has expired by now is not sent: a lifetime of zero means something else
            // to some stores.
            Ok(Encoding::Complete) if lifetime != Some(Duration::ZERO) => {
                let set = async {
                    let _room = self.store.room(key, buffer.len(), wait).await?;
                    let store = &self.store;
                    store
                        .compare_and_set(key, &lease.token, &buffer, lifetime)
                        .await
                };
                match set.await {
                    // Not every store drops the old value in this case.
                    Err(Error::TooLarge(_)) => {
                        let removed = self.remove_under(key, &lease).await;
                        removed.map(|_| Stored::TooLarge)
                    }
                    set => set.map(|done| match done {
                        true => Stored::Stored,
                        false => Stored::Fenced,
                    }),
                }
            }
            unfit => {
                let removed = self.remove_under(key, &lease).await;
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

    /// [`GuardedStore::room`] for a value of a type of which none was seen: so few are under way until one has
    /// been answered.
    async fn room_for_unknown<T: CacheEntity>(&self, key: &str) -> Result<Room> {
        let size = self.shapes.size::<T>();
        let mut room = pin!(self.store.room(key, UNKNOWN, self.store.room_wait()));
        loop {
            let mut told = pin!(self.size_is_known.notified());
            told.as_mut().enable();
            if let Some(bytes) = size.known() {
                return self.store.room(key, bytes, self.store.room_wait()).await;
            }
            let first = poll_fn(|cx| match room.as_mut().poll(cx) {
                Poll::Ready(room) => Poll::Ready(Some(room)),
                Poll::Pending => told.as_mut().poll(cx).map(|()| None),
            });
            if let Some(room) = first.await {
                return room;
            }
        }
    }

    /// How many keys the next part of a batch has: no more than fit into one command, and no more than
    /// arrive in time.
    fn keys_of_a_part<T: CacheEntity>(&self) -> usize {
        let most = self.store.limits().keys_per_command;
        let size = self.shapes.size::<T>().known();
        (BYTES_OF_A_PART / size.unwrap_or(UNKNOWN)).clamp(1, most)
    }

    /// How many parts of a batch are looked up at a time: one until it is known how large its values are.
    fn parts_at_once<T: CacheEntity>(&self) -> usize {
        match self.shapes.size::<T>().known() {
            Some(_) => PARTS_AT_ONCE,
            None => 1,
        }
    }

    /// How many stores of a batch are under way at a time: no more than arrive in time.
    fn stores_at_once<T: CacheEntity>(&self) -> usize {
        let size = self.shapes.size::<T>().known();
        let most = self.store.limits().commands_in_flight;
        (UNDER_WAY_BYTES / size.unwrap_or(4 * UNKNOWN)).clamp(1, most)
    }
}

impl<S: ByteStore> CacheBackend for Encoded<S> {
    type Lease = EncodedLease<S::Token>;

    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` keeps a second copy of its arguments, and a hit allocates them"
    )]
    fn get<T: CacheEntity>(
        &self,
        key: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Lookup<T>>> + Send {
        async move {
            let size = self.shapes.size::<T>();
            let _room = match size.known() {
                Some(bytes) => self.store.room(key, bytes, self.store.room_wait()).await?,
                None => Box::pin(self.room_for_unknown::<T>(key)).await?,
            };
            let value = self.coalescer.get(key).await?;
            // What is there but cannot be used is for the look-up to report.
            self.recent.note(value.is_none());
            self.note_size::<T>(value.as_deref());
            Ok(lookup(&self.codec(), key, value.as_deref(), now))
        }
    }

    fn is_cold(&self, _: &str) -> bool {
        self.recent.is_cold()
    }

    async fn lease<T: CacheEntity>(
        &self,
        key: &str,
        request: LeaseRequest,
    ) -> Result<Leased<Self::Lease>> {
        let lifetime = self.config.lease_lifetime;
        let sequence = self.store.invalidation_sequence();
        let placeholder = || self.placeholder(key, request);
        if request.take == Take::Invalidating {
            let claimed = self.store.invalidate_and_claim(key, placeholder, lifetime);
            return Ok(match claimed.await? {
                Some(Some((token, fence))) => self.granted(token, true, sequence, fence),
                Some(None) => Leased::NoRoom,
                None => Leased::Pending,
            });
        }
        let claimed = self.store.claim(key, placeholder, lifetime).await;
        if self.recent.is_cold() {
            // It was sent without a look-up.
            match &claimed {
                Ok((claim, _)) => self.recent.note(matches!(claim, Claim::Taken(_))),
                Err(_) => self.recent.forget(),
            }
        }
        Ok(match claimed? {
            (Claim::Taken(token), fence) => self.granted(token, true, sequence, fence),
            (Claim::Standing { head, token }, _) => {
                self.over_standing::<T>(key, request, sequence, &head, token)
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
        let wait = self.store.room_wait();
        self.store_within(key, lease, entry, now, wait).await
    }

    async fn release<T: CacheEntity>(&self, key: &str, lease: Self::Lease) -> Result<()> {
        if lease.own {
            self.store.compare_and_delete(key, &lease.token).await?;
        }
        Ok(())
    }

    async fn invalidate<T: CacheEntity>(&self, key: &str) -> Result<Invalidated> {
        self.invalidate_text(key).await
    }

    async fn invalidate_text(&self, key: &str) -> Result<Invalidated> {
        let done = self.store.invalidate_many(&[key]).await;
        done.into_iter().next().unwrap_or(Ok(Invalidated::Done))
    }

    async fn clear_prefix(&self, beginning: &str) -> Result<Cleared> {
        let mut cleared = Cleared::nothing();
        match self.clear_into(beginning, &mut cleared).await {
            Ok(()) => Ok(cleared),
            Err(error) => Err(cleared.cut_short(beginning, error)),
        }
    }

    fn default_ttl(&self) -> Option<Duration> {
        self.config.default_ttl
    }

    fn watch(&self, listener: Weak<dyn CacheMetrics>) {
        self.store.watch(listener);
    }

    fn meet(&self, entity: EntityType<'_>) -> Result<()> {
        self.types.meet(entity)
    }

    async fn ping(&self) -> Result<()> {
        Self::ping(self).await
    }

    fn health(&self) -> Option<Health> {
        Some(Self::health(self))
    }

    async fn get_many<T: CacheEntity>(
        &self,
        keys: &[&str],
        now: Timestamp,
    ) -> Vec<Result<Lookup<T>>> {
        if keys.is_empty() {
            return Vec::new();
        }
        if keys.len() <= self.keys_of_a_part::<T>() {
            return self.get_part(keys, now).await;
        }
        let mut rest = keys;
        let parts = std::iter::from_fn(|| {
            let part = self.keys_of_a_part::<T>().min(rest.len());
            let (keys, left) = rest.split_at(part);
            rest = left;
            (!keys.is_empty()).then(|| self.get_part(keys, now))
        });
        let mut answers = Vec::with_capacity(keys.len());
        for part in join_up_to(parts, || self.parts_at_once::<T>()).await {
            answers.extend(part);
        }
        answers
    }

    async fn lease_many<T: CacheEntity>(
        &self,
        requests: &[(&str, LeaseRequest)],
    ) -> Vec<Result<Leased<Self::Lease>>> {
        // Two concurrent requests for one key would have no order.
        let mut seen = HashSet::with_capacity(requests.len());
        let (first, again): (Vec<usize>, Vec<usize>) =
            (0..requests.len()).partition(|place| seen.insert(requests[*place].0));
        let lease = |place: &usize| {
            let (key, request) = requests[*place];
            self.lease::<T>(key, request)
        };
        let leased = join(
            first.iter().map(lease),
            self.store.limits().commands_in_flight,
        )
        .await;
        if again.is_empty() {
            return leased;
        }
        let mut answers: Vec<_> = first.into_iter().zip(leased).collect();
        for place in again {
            answers.push((place, lease(&place).await));
        }
        answers.sort_unstable_by_key(|(place, _)| *place);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    async fn store_many<T: CacheEntity>(
        &self,
        entries: Vec<(&str, Self::Lease, Entry<T>)>,
        now: Timestamp,
    ) -> Vec<Result<Stored>> {
        let wait = self.store.room_wait_of_a_batch();
        let store = |(key, lease, entry)| self.store_within(key, lease, entry, now, wait);
        let stores = entries.into_iter().map(store);
        join_up_to(stores, || self.stores_at_once::<T>()).await
    }

    async fn release_many<T: CacheEntity>(
        &self,
        leases: Vec<(&str, Self::Lease)>,
    ) -> Vec<Result<()>> {
        let release = |(key, lease)| self.release::<T>(key, lease);
        join(
            leases.into_iter().map(release),
            self.store.limits().commands_in_flight,
        )
        .await
    }

    async fn invalidate_many<T: CacheEntity>(&self, keys: &[&str]) -> Vec<Result<Invalidated>> {
        if keys.is_empty() {
            return Vec::new();
        }
        self.store.invalidate_many(keys).await
    }
}

/// What a reader makes of `value`, found under `key`.
fn lookup<T: CacheEntity>(
    codec: &Codec<T>,
    key: &str,
    value: Option<&[u8]>,
    now: Timestamp,
) -> Lookup<T> {
    let miss = |fence, reason| Lookup::Miss { fence, reason };
    let Some(value) = value else {
        return miss(None, MissReason::Absent);
    };
    let head = || head_of(key, value);
    if value.len() > codec.max_bytes()
        && let entry @ Head::Entry(_) = head()
    {
        return miss(entry.fence(), MissReason::TooLarge);
    }
    match codec.decode(key, value) {
        Decoded::Entry { entry, stamp } => {
            let fence = Some(stamp.fence);
            if now >= entry.expires {
                return miss(fence, MissReason::Expired);
            }
            if !is_valid(&entry) {
                return miss(fence, MissReason::Invalid);
            }
            Lookup::Hit { entry, fence }
        }
        Decoded::Placeholder(lease) => miss(Some(lease.fence), MissReason::Absent),
        Decoded::OtherSchema { stamp } => miss(Some(stamp.fence), MissReason::OtherSchema),
        Decoded::Damaged => miss(head().fence(), MissReason::Damaged),
    }
}

/// Whether the entity accepts itself. If its `cache_validate` panics, it does not.
fn is_valid<T: CacheEntity>(entry: &Entry<T>) -> bool {
    let value = entry.value.as_deref();
    value.is_none_or(|entity| matches!(caught(|| entity.cache_validate()), Some(Ok(()))))
}

impl<S: ByteStore> Clone for Encoded<S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            coalescer: Arc::clone(&self.coalescer),
            sendings: Arc::clone(&self.sendings),
            recent: Arc::clone(&self.recent),
            shapes: Arc::clone(&self.shapes),
            size_is_known: Arc::clone(&self.size_is_known),
            types: Arc::clone(&self.types),
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
