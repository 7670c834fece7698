//! The commands for the keys of one group. For a single key the backend's command for one key is
//! used; answers are as many as the keys, whatever the backend says.

use crate::backend::{CacheBackend, LeaseRequest, Leased, Lookup, Stored};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::error::{Error, Result};

pub(super) async fn get<T: CacheEntity, B: CacheBackend>(
    backend: &B,
    keys: &[&str],
    now: Timestamp,
) -> Vec<Result<Lookup<T>>> {
    match keys {
        [] => Vec::new(),
        [key] => vec![backend.get(key, now).await],
        keys => counted(backend.get_many(keys, now).await, keys.len()),
    }
}

pub(super) async fn lease<T: CacheEntity, B: CacheBackend>(
    backend: &B,
    requests: &[(&str, LeaseRequest)],
) -> Vec<Result<Leased<B::Lease>>> {
    match requests {
        [] => Vec::new(),
        [(key, request)] => vec![backend.lease::<T>(key, *request).await],
        requests => counted(backend.lease_many::<T>(requests).await, requests.len()),
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
            counted(backend.store_many(entries, now).await, count)
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
            counted(backend.release_many::<T>(leases).await, count)
        }
        (_, None) => Vec::new(),
    }
}

/// The answers of a backend to `asked` questions. If it gives another number of them, it is unknown
/// which answers what.
pub(in crate::expander) fn counted<O>(answers: Vec<Result<O>>, asked: usize) -> Vec<Result<O>> {
    if answers.len() == asked {
        return answers;
    }
    let error = format!("{} answers for {asked} keys", answers.len());
    (0..asked)
        .map(|_| Err(Error::BackendError(error.clone())))
        .collect()
}

#[cfg(all(test, not(cache_kit_model)))]
mod tests {
    use super::*;

    #[test]
    fn answers_are_believed_only_if_they_are_as_many_as_the_questions() {
        let answers = || vec![Ok(1), Err(Error::BackendError("away".into())), Ok(3)];
        let texts = |answers: Vec<Result<i32>>| -> Vec<String> {
            let text =
                |answer: Result<i32>| answer.map_or_else(|e| e.to_string(), |n| n.to_string());
            answers.into_iter().map(text).collect()
        };
        assert_eq!(
            texts(counted(answers(), 3)),
            ["1", "cache backend failed: away", "3"]
        );
        for asked in [0, 2, 4] {
            let error = format!("cache backend failed: 3 answers for {asked} keys");
            assert_eq!(texts(counted(answers(), asked)), vec![error; asked]);
        }
    }
}
