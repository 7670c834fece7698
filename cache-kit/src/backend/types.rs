//! [`EntityTypes`]: which entity type has which prefix.
//!
//! A store of bytes knows a key's text but not its type. Two types of one shape under one prefix
//! would answer for each other there, but not in memory. So the second type is an error everywhere.

use std::any::{TypeId, type_name};
use std::sync::{Mutex, PoisonError};

use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::key::refused_word;

/// An entity type as a service names its keys.
#[derive(Debug, Clone, Copy)]
pub struct EntityType<'n> {
    id: TypeId,
    name: &'static str,
    prefix: &'static str,
    namespace: Option<&'n str>,
}

impl<'n> EntityType<'n> {
    pub(crate) fn of<T: CacheEntity>(namespace: Option<&'n str>) -> Self {
        Self {
            id: TypeId::of::<T>(),
            name: type_name::<T>(),
            prefix: T::cache_prefix(),
            namespace,
        }
    }
}

/// The entity types that a backend has met. For the author of a backend: keep it where all clones
/// share it, and answer [`CacheBackend::meet`](super::CacheBackend::meet) with it.
#[derive(Debug, Default)]
pub struct EntityTypes(Mutex<Vec<Known>>);

#[derive(Debug)]
struct Known {
    id: TypeId,
    name: &'static str,
    prefix: &'static str,
    namespace: Option<Box<str>>,
}

impl EntityTypes {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes `met`.
    ///
    /// # Errors
    /// [`Error::ConfigError`] if its prefix is not valid, or if its keys could be those of another
    /// type: one with the same prefix in the same namespace, or one without a namespace whose
    /// prefix is the namespace of the other.
    pub fn meet(&self, met: EntityType<'_>) -> Result<()> {
        let EntityType {
            id,
            name,
            prefix,
            namespace,
        } = met;
        if let Some(wants) = refused_word(prefix) {
            return Err(Error::ConfigError(format!(
                "prefix {prefix:?} of {name}: {wants}"
            )));
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for first in known.iter() {
            let of_first = first.namespace.as_deref();
            if (first.prefix, of_first) == (prefix, namespace) {
                if first.id == id {
                    return Ok(());
                }
                return Err(Error::ConfigError(format!(
                    "prefix {prefix:?} belongs to {}, and {name} has it, too: give each its own, as \
                     in `#[cache(prefix = \"…\")]`",
                    first.name
                )));
            }
            let (word, bare, spaced) = match (of_first, namespace) {
                (Some(word), None) if word == prefix => (word, name, first.name),
                (None, Some(word)) if word == first.prefix => (word, first.name, name),
                _ => continue,
            };
            return Err(Error::ConfigError(format!(
                "{word:?} is the prefix of {bare} and the namespace of {spaced}, so their keys could be \
                 the same: give one of them another"
            )));
        }
        known.push(Known {
            id,
            name,
            prefix,
            namespace: namespace.map(Into::into),
        });
        Ok(())
    }
}
