//! Entities behind other types.

use std::any::Any;
use std::sync::Arc;

use cache_kit::CacheEntity;
use cache_kit::entry::Entry;
use cache_kit::testing::conformance::{Rival, Specimen};

/// The specimen that an entry of some type holds.
pub(super) fn specimen_in<T: CacheEntity>(entry: &Entry<T>) -> Option<&Specimen> {
    let value: &dyn Any = entry.value.as_deref()?;
    value.downcast_ref()
}

/// A specimen as a `T`, if that is a [`Rival`].
pub(super) fn disguised<T: CacheEntity>(entry: Entry<Specimen>) -> Option<Entry<T>> {
    let value = entry.value?;
    let rival: Arc<dyn Any + Send + Sync> = Arc::new(Rival {
        key: value.key.clone(),
        version: value.version,
        payload: value.payload.clone(),
    });
    Some(Entry {
        value: Some(rival.downcast::<T>().ok()?),
        created: entry.created,
        stale_from: entry.stale_from,
        expires: entry.expires,
        load_millis: entry.load_millis,
        pinned: entry.pinned,
    })
}
