//! Every command is dropped at every await: the key stays usable, and no look-up returns anything
//! from before an invalidation.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use crate::backend::{CacheBackend, Leased, Stored, Take};

use super::client::{Client, answer, no_error, shown, version_of};
use super::harness::Harness;
use super::specimen::{Specimen, specimen};

/// No command needs this many polls; one that was polled this often hangs.
const MOST_POLLS: usize = 1_000;

/// The versions under a key: before the command, by the command, after it.
const BEFORE: u64 = 1;
const DROPPED: u64 = 2;
const AFTER: u64 = 3;

/// Polls a future up to `polls` times, each time it is woken, and then drops it. `None` if it had
/// not ended by then.
pub(super) async fn polled<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// A look-up may be dropped at any await.
pub async fn a_get_may_be_dropped_at_any_await<B: CacheBackend>(harness: &Harness<B>) {
    let command = async |client: &Client<'_, B>, key: &str, polls| {
        let get = client.backend.get::<Specimen>(key, client.harness.now());
        polled(get, polls).await.is_some()
    };
    dropped_at_every_await(harness, "get", command).await;
}

/// A lease command may be dropped at any await, with every `Take`. The key becomes free again, at
/// the latest when a lease expires.
pub async fn a_lease_may_be_dropped_at_any_await<B: CacheBackend>(harness: &Harness<B>) {
    for take in [Take::IfMissing, Take::Over, Take::Invalidating] {
        let command = async |client: &Client<'_, B>, key: &str, polls| {
            let request = client.harness.request(take);
            let lease = client.backend.lease::<Specimen>(key, request);
            polled(lease, polls).await.is_some()
        };
        dropped_at_every_await(harness, "lease", command).await;
        let abandoned = abandoned(harness, command).await;
        free_in_time(harness, &abandoned).await;
    }
}

/// A store may be dropped at any await. Until an invalidation, it may or may not have been done.
pub async fn a_store_may_be_dropped_at_any_await<B: CacheBackend>(harness: &Harness<B>) {
    for take in [Take::Over, Take::Invalidating] {
        let command = async |client: &Client<'_, B>, key: &str, polls| {
            let (lease, _) = client.granted(key, take).await;
            let entry = client.harness.entry(specimen(key, DROPPED));
            let now = client.harness.now();
            let store = client.backend.store(key, lease, entry, now);
            polled(store, polls).await.is_some()
        };
        dropped_at_every_await(harness, "store", command).await;
        let abandoned = abandoned(harness, command).await;
        free_in_time(harness, &abandoned).await;
    }
}

/// A release may be dropped at any await.
pub async fn a_release_may_be_dropped_at_any_await<B: CacheBackend>(harness: &Harness<B>) {
    let command = async |client: &Client<'_, B>, key: &str, polls| {
        let (lease, _) = client.granted(key, Take::Over).await;
        let release = client.backend.release::<Specimen>(key, lease);
        polled(release, polls).await.is_some()
    };
    dropped_at_every_await(harness, "release", command).await;
    let abandoned = abandoned(harness, command).await;
    free_in_time(harness, &abandoned).await;
}

/// An invalidation may be dropped at any await.
pub async fn an_invalidation_may_be_dropped_at_any_await<B: CacheBackend>(harness: &Harness<B>) {
    let command = async |client: &Client<'_, B>, key: &str, polls| {
        let invalidate = client.backend.invalidate::<Specimen>(key);
        polled(invalidate, polls).await.is_some()
    };
    dropped_at_every_await(harness, "invalidate", command).await;
}

/// A clear may be dropped at any await.
pub async fn a_clear_may_be_dropped_at_any_await<B: CacheBackend>(harness: &Harness<B>) {
    if !harness.has_clear() {
        return;
    }
    let command = async |client: &Client<'_, B>, key: &str, polls| {
        let clear = client.backend.clear_prefix(key);
        polled(clear, polls).await.is_some()
    };
    dropped_at_every_await(harness, "clear_prefix", command).await;
}

/// Every batch may be dropped at any await.
pub async fn batches_may_be_dropped_at_any_await<B: CacheBackend>(harness: &Harness<B>) {
    let get = async |client: &Client<'_, B>, key: &str, polls| {
        let (before, after) = neighbours(client);
        let now = client.harness.now();
        let keys = [before.as_str(), key, &after];
        let get = client.backend.get_many::<Specimen>(&keys, now);
        polled(get, polls).await.is_some()
    };
    dropped_at_every_await(harness, "get_many", get).await;

    let lease = async |client: &Client<'_, B>, key: &str, polls| {
        let (before, after) = neighbours(client);
        let requests = [before.as_str(), key, &after].map(|key| {
            let request = client.harness.request(Take::Over);
            (key, request)
        });
        let lease = client.backend.lease_many::<Specimen>(&requests);
        polled(lease, polls).await.is_some()
    };
    dropped_at_every_await(harness, "lease_many", lease).await;

    let store = async |client: &Client<'_, B>, key: &str, polls| {
        let (before, after) = neighbours(client);
        let mut batch = Vec::new();
        for key in [before.as_str(), key, &after] {
            let (lease, _) = client.granted(key, Take::Over).await;
            let entry = client.harness.entry(specimen(key, DROPPED));
            batch.push((key, lease, entry));
        }
        let store = client.backend.store_many(batch, client.harness.now());
        polled(store, polls).await.is_some()
    };
    dropped_at_every_await(harness, "store_many", store).await;

    let release = async |client: &Client<'_, B>, key: &str, polls| {
        let (before, after) = neighbours(client);
        let mut batch = Vec::new();
        for key in [before.as_str(), key, &after] {
            batch.push((key, client.granted(key, Take::Over).await.0));
        }
        let release = client.backend.release_many::<Specimen>(batch);
        polled(release, polls).await.is_some()
    };
    dropped_at_every_await(harness, "release_many", release).await;

    let invalidate = async |client: &Client<'_, B>, key: &str, polls| {
        let (before, after) = neighbours(client);
        let keys = [before.as_str(), key, &after];
        let invalidate = client.backend.invalidate_many::<Specimen>(&keys);
        polled(invalidate, polls).await.is_some()
    };
    dropped_at_every_await(harness, "invalidate_many", invalidate).await;
}

fn neighbours<B: CacheBackend>(client: &Client<'_, B>) -> (String, String) {
    (
        client.harness.key("neighbour"),
        client.harness.key("neighbour"),
    )
}

/// Runs `command` on keys of their own, each time dropped one poll later, until it ends.
async fn dropped_at_every_await<B, C>(harness: &Harness<B>, name: &str, command: C)
where
    B: CacheBackend,
    C: AsyncFn(&Client<'_, B>, &str, usize) -> bool,
{
    let (client, other) = harness.clients();
    for polls in 0..MOST_POLLS {
        let mut ended = true;
        for occupied in [true, false] {
            let key = harness.key(name);
            let when = format!("after a {name} that was dropped at poll {polls}");
            if occupied {
                client.put(&key, BEFORE).await;
            }
            ended &= command(&client, &key, polls).await;
            for client in [&client, &other] {
                let version = client.version(&key).await;
                assert!(
                    matches!(version, None | Some(BEFORE | DROPPED)),
                    "{}: version {version:?} {when}",
                    shown(&key)
                );
            }
            client.invalidate(&key).await;
            for client in [&other, &client] {
                let when = format!("invalidated {when}");
                client.expect(&key, None, &when).await;
            }
            usable(&client, &other, &key, &when).await;
        }
        if ended {
            return;
        }
    }
    panic!("a {name} has not ended after {MOST_POLLS} polls");
}

/// Checks that a key can be leased, filled and read again. What the dropped command does late may
/// fence a store, but never brings back an old version.
async fn usable<B: CacheBackend>(
    client: &Client<'_, B>,
    other: &Client<'_, B>,
    key: &str,
    when: &str,
) {
    const TRIES: usize = 5;
    let mut read = 0;
    for _ in 0..TRIES {
        let (lease, _) = client.granted(key, Take::Over).await;
        let stored = client.fill(key, lease, AFTER).await;
        assert!(
            matches!(stored, Stored::Stored | Stored::Fenced),
            "{}: {stored:?} {when}",
            shown(key)
        );
        for client in [client, other, client, other] {
            tokio::task::yield_now().await;
            let version = client.version(key).await;
            assert!(
                matches!(version, None | Some(AFTER)),
                "{}: version {version:?} shows {when} and an invalidation",
                shown(key)
            );
            read += usize::from(version.is_some());
        }
        if read >= 4 {
            return;
        }
    }
    panic!("{}: cannot be filled any more {when}", shown(key));
}

/// The keys on which `command` was dropped, unused since then.
async fn abandoned<B, C>(harness: &Harness<B>, command: C) -> Vec<String>
where
    B: CacheBackend,
    C: AsyncFn(&Client<'_, B>, &str, usize) -> bool,
{
    let client = harness.client();
    let mut keys = Vec::new();
    for polls in 0..MOST_POLLS {
        let key = harness.key("abandoned");
        let ended = command(&client, &key, polls).await;
        keys.push(key);
        if ended {
            break;
        }
    }
    keys
}

/// Checks that each key can be leased with [`Take::IfMissing`] and filled, or holds what the
/// dropped command stored, once a lease's lifetime has passed.
async fn free_in_time<B: CacheBackend>(harness: &Harness<B>, keys: &[String]) {
    harness.pass(harness.lifetime()).await;
    harness.pass(harness.lifetime() / 4).await;
    let client = harness.client();
    for key in keys {
        let request = harness.request(Take::IfMissing);
        match client.lease::<Specimen>(key, request).await {
            Leased::Granted { lease, .. } => {
                super::client::stored(client.fill(key, lease, AFTER).await, key);
            }
            Leased::Found => {}
            other => panic!(
                "{}: {} long after a command was dropped",
                shown(key),
                answer(&other)
            ),
        }
        let found = client.backend.get::<Specimen>(key, harness.now()).await;
        let crate::backend::Lookup::Hit { entry, .. } = no_error(found, "get", key) else {
            panic!("{}: a miss where an entry was found", shown(key));
        };
        version_of(key, &entry);
    }
}
