//! [`Shards`]: a map split into separately locked shards. [`TaggedKey`], one kind of key for it.

use std::any::TypeId;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};

use quick_cache::DefaultHashBuilder;
use smol_str::SmolStr;

use crate::sync::{Mutex, MutexGuard, lock};

/// One shard under the model checker, which needs every run to take the same locks.
const SHARDS: usize = if cfg!(cache_kit_model) { 1 } else { 64 };

/// A cache key of one entity type. Two types under the same text are two keys.
///
/// Short texts, which most keys are, are stored inline: a hit follows one pointer less.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TaggedKey {
    pub(crate) entity: EntityTag,
    pub(crate) text: SmolStr,
}

impl TaggedKey {
    pub(crate) fn of<T: 'static>(text: &str) -> Self {
        Self {
            entity: EntityTag::of::<T>(),
            text: text.into(),
        }
    }
}

/// Identifies the entity type, in half the bytes of a [`TypeId`]. Should two types ever share a
/// tag, the downcast of their values still distinguishes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct EntityTag(u64);

impl EntityTag {
    pub(crate) fn as_u64(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) fn of<T: 'static>() -> Self {
        let mut fold = Fold(0);
        TypeId::of::<T>().hash(&mut fold);
        Self(fold.0)
    }
}

/// A [`TypeId`] is a strong hash already; this only extracts it.
struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.0 ^= number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The content of one lock. Hashed as the entries in memory are: at a lower cost than by the standard library,
/// and seeded at random for each map, but not proof against someone who studies the process.
pub(crate) type Shard<V, K = TaggedKey> = HashMap<K, V, DefaultHashBuilder>;

/// A map split into separately locked shards.
pub(crate) struct Shards<V, K = TaggedKey> {
    shards: Box<[Mutex<Shard<V, K>>]>,
    hasher: DefaultHashBuilder,
}

impl<V, K: Hash> Shards<V, K> {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::default())).collect(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// Locks the shard of `key`.
    pub(crate) fn lock(&self, key: &K) -> MutexGuard<'_, Shard<V, K>> {
        let index = self.hasher.hash_one(key) % SHARDS as u64;
        lock(&self.shards[index as usize])
    }

    /// Locks one shard after the other.
    pub(crate) fn each(&self) -> impl Iterator<Item = MutexGuard<'_, Shard<V, K>>> {
        self.shards.iter().map(lock)
    }
}
