//! [`Shards`]: a map from typed keys, cut into separately locked parts.

use std::any::TypeId;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::sync::{Mutex, MutexGuard, lock};

/// One shard under the model checker, which wants every run to take the same locks.
const SHARDS: usize = if cfg!(cache_kit_model) { 1 } else { 64 };

/// A cache key of one entity type. Two types under the same text are two keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TypedKey {
    pub(crate) entity: TypeId,
    pub(crate) text: Arc<str>,
}

impl TypedKey {
    pub(crate) fn of<T: 'static>(text: &str) -> Self {
        Self {
            entity: TypeId::of::<T>(),
            text: text.into(),
        }
    }
}

/// What one lock guards.
pub(crate) type Shard<V> = HashMap<TypedKey, V>;

/// A map from typed keys, cut into separately locked parts.
pub(crate) struct Shards<V> {
    shards: Box<[Mutex<Shard<V>>]>,
    hasher: RandomState,
}

impl<V> Shards<V> {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Locks the part that `key` lives in.
    pub(crate) fn lock(&self, key: &TypedKey) -> MutexGuard<'_, Shard<V>> {
        let index = self.hasher.hash_one(key) % SHARDS as u64;
        lock(&self.shards[index as usize])
    }

    /// Locks one part after the other.
    pub(crate) fn each(&self) -> impl Iterator<Item = MutexGuard<'_, Shard<V>>> {
        self.shards.iter().map(lock)
    }
}
