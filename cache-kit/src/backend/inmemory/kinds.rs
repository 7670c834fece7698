//! [`Kinds`]: the entity types and namespaces that have ever had a lease. They give a key its text
//! back, and find the keys of a text that comes without a type.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::key::{MapKey, Parsed, Tag};
use crate::entity::CacheEntity;

#[derive(Default)]
pub(super) struct Kinds(RwLock<Known>);

/// The keys whose texts begin alike.
pub(super) struct Beginning {
    beginning: Box<str>,
    /// The tags that such keys may have; with what stands before the ids, if that does not tell.
    tags: HashMap<Tag, Option<Box<str>>>,
}

impl Beginning {
    pub(super) fn has(&self, key: &MapKey) -> bool {
        match self.tags.get(&key.tag()) {
            None => false,
            Some(None) => true,
            Some(Some(head)) => key.text(head).starts_with(&*self.beginning),
        }
    }
}

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

    /// Which keys have a text that begins with `beginning`, of those that have been leased by now.
    pub(super) fn beginning_with(&self, beginning: &str) -> Beginning {
        let mut tags = HashMap::new();
        for (tag, (head, _)) in &self.known().heads {
            if head.starts_with(beginning) {
                tags.insert(*tag, None);
            } else if beginning.starts_with(&**head) {
                tags.insert(*tag, Some(head.clone()));
            }
        }
        Beginning {
            beginning: beginning.into(),
            tags,
        }
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
