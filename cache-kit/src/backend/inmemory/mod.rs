//! [`InMemoryBackend`]: entries in this process, as `Arc<T>`, without serialization.

mod builder;
mod clear;
mod engine;
mod fence;
mod guess;
mod key;
mod kinds;
#[cfg(feature = "moka")]
mod moka;
mod quick;
#[cfg(all(test, feature = "moka", not(cache_kit_model)))]
mod ratios;
mod slot;
mod stats;
mod watchers;

use std::any::Any;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::mem;
use std::sync::{Arc, Weak};
use std::time::Duration;

use quick_cache::Equivalent;

use crate::backend::{
    CacheBackend, Cleared, EntityType, EntityTypes, Invalidated, LeaseRequest, Leased, Lookup,
    MissReason, Stored, Take,
};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::{Entry, Freshness};
use crate::error::{Error, Result};
use crate::key::CacheKey;
use crate::observability::CacheMetrics;
use crate::unwind::caught;

pub use builder::{Evicted, InMemoryBuilder, Weighed};
pub use engine::{Engine, EvictionCause};
pub use stats::InMemoryStats;

use builder::{EvictionListener, Weigher};
use engine::{Gone, Map};
use fence::{Fences, Share};
use key::{LookUp, MapKey, NumberKey, TextKey, UuidKey, look_up};
use kinds::Kinds;
use slot::Slot;
use stats::Stats;
use watchers::Watchers;

/// Keeps entries in this process: bounded, shared by its clones, typed.
///
/// Up to 100,000 entries by default, without expiry; see [`InMemoryBackend::builder`] for other
/// bounds. Expired entries are never served; they are evicted when room is needed.
///
/// A hit compares the key of the entity, not its text. That costs least for integers, a sixth more
/// for a type of your own around one, a fifth more for sixteen bytes such as a uuid, a third more for
/// strings (in instructions), and as much as writing the text for any other key.
///
/// # Memory
/// Beside the entity itself, an entry takes about this many bytes in a full map of 100,000 entries
/// (`cargo bench -p cache-kit --features moka --bench memory`; the bare maps hold an `Arc` under a
/// `String` of the whole key):
///
/// | | `u64` keys | texts of uuids |
/// |---|---|---|
/// | quick_cache, bare | 89 | 120 |
/// | [`Engine::QuickCache`] | 132 | 188 |
/// | moka, bare | 265 | 296 |
/// | [`Engine::Moka`] | 411 | 467 |
///
/// The default engine has the cheaper hits and the smaller entries. Take moka where entries must go after
/// a time without use ([`InMemoryBuilder`]'s `time_to_idle`).
///
/// ```
/// use std::time::Duration;
/// use cache_kit::backend::InMemoryBackend;
///
/// let small = InMemoryBackend::builder()
///     .max_entries(1_000)
///     .default_ttl(Duration::from_secs(300))
///     .build();
/// assert!(small.is_empty());
/// ```
#[derive(Clone)]
pub struct InMemoryBackend {
    shared: Arc<Shared>,
}

struct Shared {
    map: Map,
    fences: Arc<Fences>,
    stats: Stats,
    default_ttl: Option<Duration>,
    weigher: Option<Weigher>,
    listener: Option<EvictionListener>,
    types: EntityTypes,
    kinds: Kinds,
    /// Who hears of evictions, beside `listener`.
    watchers: Watchers,
}

/// The right to store under one key of an [`InMemoryBackend`]; given up when it is dropped.
pub struct InMemoryLease(Share);

impl InMemoryBackend {
    /// A backend with the defaults: 100,000 entries, no expiry, quick_cache.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A backend with other bounds.
    pub fn builder() -> InMemoryBuilder {
        InMemoryBuilder::new()
    }

    /// How many entries are kept, expired ones included.
    pub fn len(&self) -> usize {
        let entries = self.shared.map.len();
        self.shared.part_with(Vec::new());
        entries
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Invalidates every key: no later look-up returns what was there, and no load that began
    /// before stores anything.
    pub fn clear(&self) {
        let shared = &self.shared;
        for keys in shared.overtaken(|_| true).chunks(clear::STEP) {
            shared.remove_all(keys);
        }
    }

    /// Invalidates `key`, the whole cache key, for all entity types, as
    /// [`CacheBackend::invalidate_text`] does; for callers that cannot await.
    pub fn clear_key(&self, key: &str) {
        for key in self.shared.kinds.keys(key) {
            self.shared.invalidate(&key);
        }
    }

    /// What has been counted since the backend was made.
    pub fn stats(&self) -> InMemoryStats {
        self.shared.stats.snapshot()
    }
}

impl Default for InMemoryBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for InMemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryBackend")
            .field("entries", &self.len())
            .field("default_ttl", &self.shared.default_ttl)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for InMemoryLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InMemoryLease")
            .field(&self.0.fence())
            .finish()
    }
}

impl CacheBackend for InMemoryBackend {
    type Lease = InMemoryLease;

    #[inline]
    fn try_get<T: CacheEntity>(&self, key: CacheKey<'_, T>, now: Timestamp) -> Option<Entry<T>> {
        let fresh = Fresh::<T> {
            map: &self.shared.map,
            now,
            entity: PhantomData,
        };
        let found = look_up(&fresh, key);
        let stats = &self.shared.stats;
        match &found {
            Some(_) => stats.hits.add(1),
            None => stats.misses.add(1),
        }
        found
    }

    fn meet(&self, entity: EntityType<'_>) -> Result<()> {
        self.shared.types.meet(entity)
    }

    async fn get<T: CacheEntity>(&self, key: &str, now: Timestamp) -> Result<Lookup<T>> {
        let key = MapKey::of::<T>(key);
        let found = self.shared.map.get(&key);
        let fresh = found
            .as_ref()
            .is_some_and(|slot| slot.freshness(now) == Freshness::Fresh);
        let stats = &self.shared.stats;
        if fresh { &stats.hits } else { &stats.misses }.add(1);
        Ok(self.shared.lookup(&key, found, now))
    }

    async fn get_again<T: CacheEntity>(&self, key: &str, now: Timestamp) -> Result<Lookup<T>> {
        let key = MapKey::of::<T>(key);
        let found = self.shared.map.peek(&key);
        Ok(self.shared.lookup(&key, found, now))
    }

    async fn lease<T: CacheEntity>(
        &self,
        key: &str,
        request: LeaseRequest,
    ) -> Result<Leased<InMemoryLease>> {
        // Met before the lease stands, so that an invalidation by text finds it.
        let key = self.shared.kinds.meet::<T>(key);
        Ok(self.shared.lease(key, request))
    }

    async fn store<T: CacheEntity>(
        &self,
        _key: &str,
        lease: InMemoryLease,
        entry: Entry<T>,
        now: Timestamp,
    ) -> Result<Stored> {
        self.shared.watchers.at(now);
        if entry.expires <= now {
            return Ok(self.shared.remove_under(&lease.0));
        }
        self.shared.store(&lease.0, entry.erase())
    }

    async fn release<T: CacheEntity>(&self, _key: &str, lease: InMemoryLease) -> Result<()> {
        drop(lease);
        Ok(())
    }

    async fn invalidate<T: CacheEntity>(&self, key: &str) -> Result<Invalidated> {
        self.shared.invalidate(&MapKey::of::<T>(key));
        Ok(Invalidated::Done)
    }

    async fn invalidate_text(&self, key: &str) -> Result<Invalidated> {
        self.clear_key(key);
        Ok(Invalidated::Done)
    }

    async fn clear_prefix(&self, beginning: &str) -> Result<Cleared> {
        Ok(self.shared.clear(beginning).await)
    }

    fn default_ttl(&self) -> Option<Duration> {
        self.shared.default_ttl
    }

    fn watch(&self, listener: Weak<dyn CacheMetrics>) {
        self.shared.watchers.add(listener);
    }

    fn entries(&self) -> Option<u64> {
        u64::try_from(self.shared.map.about()).ok()
    }
}

/// The look-up of a hit: finds entries that are fresh at `now`.
struct Fresh<'m, T> {
    map: &'m Map,
    now: Timestamp,
    entity: PhantomData<fn() -> T>,
}

impl<T: CacheEntity> Fresh<'_, T> {
    #[inline]
    fn find<Q: Hash + Equivalent<MapKey>>(
        &self,
        key: &Q,
        own: Option<&T::Key>,
    ) -> Option<Entry<T>> {
        // Taken apart by reference: moving the whole slot once more costs more than the look-up.
        let mut found = self.map.get(key);
        if let Some(slot) = &mut found
            && slot.is_fresh(self.now)
        {
            let entry = slot.take();
            // Nothing is left in it, which the compiler does not see.
            mem::forget(found);
            let entry: Entry<T> = entry.downcast()?;
            let is_own = |own: &T::Key| {
                let entity = entry.value.as_ref();
                entity.is_some_and(|entity| entity.cache_key() == *own)
            };
            if own.is_none_or(is_own) {
                return Some(entry);
            }
        }
        None
    }
}

impl<T: CacheEntity> LookUp<T::Key> for Fresh<'_, T> {
    type Found = Entry<T>;

    #[inline]
    fn number(&self, key: NumberKey, own: Option<&T::Key>) -> Option<Entry<T>> {
        self.find(&key, own)
    }

    #[inline]
    fn uuid(&self, key: UuidKey, own: Option<&T::Key>) -> Option<Entry<T>> {
        self.find(&key, own)
    }

    #[inline]
    fn text(&self, key: TextKey<'_>) -> Option<Entry<T>> {
        self.find(&key, None)
    }
}

impl Shared {
    /// What a reader makes of `found`, under `key`.
    fn lookup<T: CacheEntity>(
        &self,
        key: &MapKey,
        mut found: Option<Slot>,
        now: Timestamp,
    ) -> Lookup<T> {
        let reason = match &mut found {
            Some(slot) if slot.freshness(now) == Freshness::Expired => MissReason::Expired,
            Some(slot) => match slot.take().downcast() {
                Some(entry) => {
                    let fence = Some(slot.fence);
                    return Lookup::Hit { entry, fence };
                }
                None => MissReason::Damaged,
            },
            None => MissReason::Absent,
        };
        Lookup::Miss {
            fence: self.fences.current(key),
            reason,
        }
    }

    fn lease(&self, key: MapKey, request: LeaseRequest) -> Leased<InMemoryLease> {
        if request.take == Take::Invalidating {
            let mut gone = Vec::new();
            let (held, ()) = self
                .fences
                .overtake_and_hold(key.clone(), || self.map.remove(&key, &mut gone));
            self.stats.invalidations.add(1);
            self.part_with(gone);
            return granted(held);
        }
        // The current entry is looked at under the lock and dropped after it: it may be the last
        // reference to an entity that has just been evicted.
        let mut standing: Option<Slot> = None;
        let held = self.fences.hold(key.clone(), || {
            standing = self.map.peek(&key);
            match &standing {
                Some(slot)
                    if request.take == Take::IfMissing
                        && slot.freshness(request.now) != Freshness::Expired =>
                {
                    Err(Leased::Found)
                }
                Some(slot) => Ok(Some(slot.fence)),
                None => Ok(None),
            }
        });
        drop(standing);
        match held {
            Ok(held) => granted(held),
            Err(found) => found,
        }
    }

    /// # Errors
    /// The weigher panicked. The old entry stays.
    fn store(&self, held: &Share, entry: Entry<dyn Any + Send + Sync>) -> Result<Stored> {
        let mut slot = Slot::of(entry);
        let weight = self.weigh(held.key(), &slot)?;
        slot.weigh(weight);
        let fits = weight <= self.map.heaviest();

        let mut gone = Vec::new();
        let mut refused = None;
        let kept = held.fill(|fence| {
            if fits {
                slot.fence = fence;
                self.map.insert(held.key().clone(), slot, &mut gone)
            } else {
                refused = Some(slot);
                self.map.remove(held.key(), &mut gone);
                false
            }
        });
        drop(refused);
        self.part_with(gone);
        Ok(match kept {
            None => {
                self.stats.fenced.add(1);
                Stored::Fenced
            }
            Some(true) => {
                self.stats.stores.add(1);
                Stored::Stored
            }
            Some(false) => Stored::TooLarge,
        })
    }

    /// Removes what the lease was taken over. The answer is that of a store that kept nothing.
    fn remove_under(&self, held: &Share) -> Stored {
        let mut gone = Vec::new();
        held.fill(|_| self.map.remove(held.key(), &mut gone));
        self.part_with(gone);
        Stored::Fenced
    }

    fn invalidate(&self, key: &MapKey) {
        let mut gone = Vec::new();
        self.fences
            .overtake(key, || self.map.remove(key, &mut gone));
        self.stats.invalidations.add(1);
        self.part_with(gone);
    }

    /// The weight of an entry, at least 1. The weigher is user code and runs outside of locks.
    fn weigh(&self, key: &MapKey, slot: &Slot) -> Result<u64> {
        let Some(weigher) = &self.weigher else {
            return Ok(1);
        };
        let value = slot.value.0.as_deref().map(|value| value as &dyn Any);
        let text = self.kinds.text(key);
        caught(|| weigher(&Weighed::new(&text, value)).max(1))
            .ok_or_else(|| Error::BackendError("the weigher panicked".into()))
    }

    /// Tells the listener of evictions, and drops the entries. No lock is held here.
    fn part_with(&self, mut gone: Vec<Gone>) {
        gone.append(&mut self.map.collect());
        for Gone { key, slot, evicted } in gone {
            let Some(cause) = evicted else { continue };
            self.stats.evictions.add(1);
            self.watchers.tell(&self.kinds, &key, slot.created(), cause);
            if let Some(listener) = &self.listener {
                let text = self.kinds.text(&key);
                // If the listener panics, it misses this eviction and the call goes on.
                let _ = caught(|| listener(&Evicted::new(&text, slot.value.0.as_ref(), cause)));
            }
        }
    }
}

fn granted(held: Share) -> Leased<InMemoryLease> {
    let fence = held.fence();
    Leased::Granted {
        lease: InMemoryLease(held),
        fence,
    }
}
