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
    /// What stands before the ids of a tag, and the prefix of the type. Few: one for each type and
    /// namespace.
    heads: HashMap<Tag, (Box<str>, &'static str)>,
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
            let head = (head.into(), T::cache_prefix());
            known.heads.insert(key.tag(), head);
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
        let known = self.known();
        let head = known.heads.get(&key.tag());
        key.text(head.map_or("", |(head, _)| head))
    }

    /// What stands before the id of a key that has been leased, and the prefix of its type.
    pub(super) fn head(&self, key: &MapKey) -> Option<(Box<str>, &'static str)> {
        self.known().heads.get(&key.tag()).cloned()
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}
