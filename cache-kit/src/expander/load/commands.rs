//! The commands for the keys of one group. For a single key the backend's command for one key is
//! used. There is always one answer per key, whatever the backend returns.

use crate::answers::one_each;
use crate::backend::{CacheBackend, LeaseRequest, Leased, Lookup, Stored};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::error::Result;

/// Looks up keys that the call has looked up before.
pub(super) async fn get_again<T: CacheEntity, B: CacheBackend>(
    backend: &B,
    keys: &[&str],
    now: Timestamp,
) -> Vec<Result<Lookup<T>>> {
    match keys {
        [] => Vec::new(),
        [key] => vec![backend.get_again(key, now).await],
        keys => one_each(keys.len(), backend.get_many(keys, now).await),
    }
}

pub(super) async fn lease<T: CacheEntity, B: CacheBackend>(
    backend: &B,
    requests: &[(&str, LeaseRequest)],
) -> Vec<Result<Leased<B::Lease>>> {
    match requests {
        [] => Vec::new(),
        [(key, request)] => vec![backend.lease::<T>(key, *request).await],
        requests => one_each(requests.len(), backend.lease_many::<T>(requests).await),
    }
}

pub(super) async fn store<T: CacheEntity, B: CacheBackend>(
    backend: &B,
    mut entries: Vec<(&str, B::Lease, Entry<T>)>,
    now: Timestamp,
) -> Vec<Result<Stored>> {
    let count = entries.len();
    match (count, entries.pop()) {
        (1, Some((key, lease, entry))) => vec![backend.store(key, lease, entry, now).await],
        (_, Some(last)) => {
            entries.push(last);
            one_each(count, backend.store_many(entries, now).await)
        }
        (_, None) => Vec::new(),
    }
}

pub(super) async fn release<T: CacheEntity, B: CacheBackend>(
    backend: &B,
    mut leases: Vec<(&str, B::Lease)>,
) -> Vec<Result<()>> {
    let count = leases.len();
    match (count, leases.pop()) {
        (1, Some((key, lease))) => vec![backend.release::<T>(key, lease).await],
        (_, Some(last)) => {
            leases.push(last);
            one_each(count, backend.release_many::<T>(leases).await)
        }
        (_, None) => Vec::new(),
    }
}
