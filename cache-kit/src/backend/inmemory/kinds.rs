//! [`Kinds`]: the entity types and namespaces that have ever had a lease. They give a key its text
//! back, and find the keys of a text that comes without a type.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::key::{MapKey, Parsed, Tag};
use crate::entity::CacheEntity;

#[derive(Default)]
pub(super) struct Kinds(RwLock<Known>);

#[derive(Default)]
struct Known {
    /// What stands before the ids of a tag. Few: one for each type and namespace.
    heads: HashMap<Tag, Box<str>>,
    /// What makes the key of a text, for each type.
    types: Vec<fn(&str) -> MapKey>,
}

impl Kinds {
    /// The key of a `T` under `text`, which is about to be leased.
    pub(super) fn meet<T: CacheEntity>(&self, text: &str) -> MapKey {
        let Parsed { key, head } = Parsed::of::<T>(text);
        if !self.known().heads.contains_key(&key.tag()) {
            let parse: fn(&str) -> MapKey = MapKey::of::<T>;
            let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
            known.heads.insert(key.tag(), head.into());
            if !known
                .types
                .iter()
                .any(|known| std::ptr::fn_addr_eq(*known, parse))
            {
                known.types.push(parse);
            }
        }
        key
    }

    /// The keys of all types under `text`.
    pub(super) fn keys(&self, text: &str) -> Vec<MapKey> {
        let known = self.known();
        known.types.iter().map(|parse| parse(text)).collect()
    }

    /// The text of a key that has been leased.
    pub(super) fn text(&self, key: &MapKey) -> String {
        key.text(self.known().heads.get(&key.tag()).map_or("", |head| head))
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}
