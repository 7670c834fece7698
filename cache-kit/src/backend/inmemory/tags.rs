//! [`Tags`]: the entity types that have ever had a lease, for invalidations that name none.

use std::sync::{PoisonError, RwLock};

use crate::shards::EntityTag;

#[derive(Default)]
pub(super) struct Tags(RwLock<Vec<EntityTag>>);

impl Tags {
    pub(super) fn add(&self, tag: EntityTag) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&tag) {
            return;
        }
        drop(known);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(&tag) {
            known.push(tag);
        }
    }

    pub(super) fn all(&self) -> Vec<EntityTag> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }
}
