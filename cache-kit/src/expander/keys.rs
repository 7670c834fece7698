//! The keys of one batch.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use quick_cache::DefaultHashBuilder;

use crate::entity::CacheEntity;
use crate::error::Result;
use crate::expander::call::Call;
use crate::key::{CacheKey, Namespace};

/// The keys of one batch without duplicates, in the order of their first occurrence.
pub(super) struct Keys {
    /// For every position of the batch, the slot of its key.
    slots: Vec<usize>,
    /// For every slot, the first position of its key, and the end of its text.
    firsts: Vec<(usize, usize)>,
    /// The cache keys, one after the other.
    texts: String,
}

impl Keys {
    /// # Errors
    /// A key has no text.
    pub(super) fn of<T: CacheEntity>(
        namespace: Option<&Namespace>,
        ids: &[T::Key],
    ) -> Result<Self> {
        let mut keys = Self {
            slots: Vec::with_capacity(ids.len()),
            firsts: Vec::with_capacity(ids.len()),
            texts: String::with_capacity(ids.len() * 16),
        };
        let hasher = DefaultHashBuilder::default();
        let mut known = HashMap::with_capacity_and_hasher(ids.len(), hasher);
        for (position, id) in ids.iter().enumerate() {
            let slot = match known.entry(id) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(vacant) => {
                    let text = CacheKey::<T>::within(namespace, id).text()?;
                    keys.texts.push_str(text.as_str());
                    keys.firsts.push((position, keys.texts.len()));
                    *vacant.insert(keys.firsts.len() - 1)
                }
            };
            keys.slots.push(slot);
        }
        Ok(keys)
    }

    /// For every position of the batch, the slot of its key.
    pub(super) fn slots(&self) -> &[usize] {
        &self.slots
    }

    /// Whether a key comes more than once.
    pub(super) fn repeat(&self) -> bool {
        self.firsts.len() < self.slots.len()
    }

    /// The cache key of every slot.
    pub(super) fn texts(&self) -> Vec<&str> {
        let mut begin = 0;
        let text = |&(_, end): &(usize, usize)| {
            let text = &self.texts[begin..end];
            begin = end;
            text
        };
        self.firsts.iter().map(text).collect()
    }

    /// A call for every slot.
    pub(super) fn calls<'c, T: CacheEntity>(&'c self, ids: &'c [T::Key]) -> Vec<Call<'c, T>> {
        let call = |(key, &(first, _)): (&'c str, &(usize, usize))| Call {
            key,
            id: &ids[first],
        };
        self.texts()
            .into_iter()
            .zip(&self.firsts)
            .map(call)
            .collect()
    }
}
