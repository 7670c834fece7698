//! [`Types`]: which entity type has which prefix.
//!
//! A store that keeps bytes knows a key's text and no type. Two types under one prefix, of one
//! shape, would answer for each other there, and in memory not: so the second one is an error
//! everywhere.

use std::any::{TypeId, type_name};
use std::sync::{PoisonError, RwLock};

use crate::entity::CacheEntity;
use crate::error::{Error, Result};

/// The longest prefix, in bytes.
const LONGEST: usize = 64;

/// The entity types that a service has met. There are few of them.
pub(super) struct Types(RwLock<Vec<Known>>);

struct Known {
    id: TypeId,
    name: &'static str,
    prefix: &'static str,
}

impl Types {
    pub(super) fn new() -> Self {
        Self(RwLock::default())
    }

    /// Lets `T` pass.
    ///
    /// # Errors
    /// [`Error::ConfigError`] if its prefix is none, or belongs to another type.
    #[inline]
    pub(super) fn admit<T: CacheEntity>(&self) -> Result<()> {
        let id = TypeId::of::<T>();
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.iter().any(|it| it.id == id) {
            return Ok(());
        }
        drop(known);
        self.meet(id, type_name::<T>(), T::cache_prefix())
    }

    #[cold]
    fn meet(&self, id: TypeId, name: &'static str, prefix: &'static str) -> Result<()> {
        let refused = |c: char| c == ':' || c.is_whitespace() || c.is_control();
        if prefix.is_empty() || prefix.len() > LONGEST || prefix.contains(refused) {
            return Err(Error::ConfigError(format!(
                "prefix {prefix:?} of {name}: wants 1 to {LONGEST} bytes without colons, blanks or \
                 control characters"
            )));
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match known.iter().find(|it| it.prefix == prefix) {
            Some(first) if first.id == id => Ok(()),
            Some(first) => Err(Error::ConfigError(format!(
                "prefix {prefix:?} belongs to {}, and {name} has it, too: give each its own, as in \
                 `#[cache(prefix = \"…\")]`",
                first.name
            ))),
            None => {
                known.push(Known { id, name, prefix });
                Ok(())
            }
        }
    }
}
