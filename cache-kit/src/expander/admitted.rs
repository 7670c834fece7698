//! [`Admitted`]: the entity types that a service has met.

use std::any::TypeId;
use std::sync::{PoisonError, RwLock};

use crate::backend::{CacheBackend, EntityType, EntityTypes};
use crate::entity::CacheEntity;
use crate::error::Result;

use super::CacheExpander;

/// The entity types that a service may use. There are few of them.
#[derive(Default)]
pub(super) struct Admitted {
    known: RwLock<Vec<TypeId>>,
    /// For a backend that does not keep the types itself.
    types: EntityTypes,
}

impl<B: CacheBackend> CacheExpander<B> {
    /// Admits `T`.
    ///
    /// # Errors
    /// As [`EntityTypes::meet`].
    #[inline]
    pub(super) fn admit<T: CacheEntity>(&self) -> Result<()> {
        let id = TypeId::of::<T>();
        let known = &self.admitted.known;
        let known = known.read().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&id) {
            return Ok(());
        }
        drop(known);
        self.meet::<T>()
    }

    #[cold]
    fn meet<T: CacheEntity>(&self) -> Result<()> {
        let namespace = self.namespace.as_ref().map(|namespace| namespace.as_str());
        let met = EntityType::of::<T>(namespace);
        self.backend.meet(met)?;
        self.admitted.types.meet(met)?;
        let known = &self.admitted.known;
        let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
        known.push(TypeId::of::<T>());
        Ok(())
    }
}
