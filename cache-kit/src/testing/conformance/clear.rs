//! Dropping all keys that begin alike: nothing of them is left, no lease on them counts, and nothing
//! else is touched.

use crate::backend::{CacheBackend, Cleared, Invalidated, Take};
use crate::error::Error;

use super::client::{Client, fenced, no_error, shown, stored};
use super::harness::Harness;
use super::specimen::Rival;

/// How many keys begin alike.
const KEYS: u64 = 40;

/// A clear drops every entry whose key begins as it says, of all types, and no other, however the
/// beginning is written. A backend that cannot list its keys says so, and drops nothing.
pub async fn a_clear_drops_what_begins_alike_and_nothing_else<B: CacheBackend>(
    harness: &Harness<B>,
) {
    let (first, second) = harness.clients();
    // What stands for something else in a pattern or in a text of some store.
    for odd in ["", "*", "?", "[^a-z]", "\\", "{a}", "%", "_", "'", "ü"] {
        let base = harness.key("clear");
        let beginning = format!("{base}{odd}:");
        let keys: Vec<String> = (0..KEYS).map(|n| format!("{beginning}{n}")).collect();
        let neighbours = [
            base.clone(),
            format!("{base}{odd}y"),
            format!("{base}{odd}x:1"),
            format!("{base}xx:1"),
            format!("{base}m{odd}:1"),
        ];
        for (key, version) in keys.iter().chain(&neighbours).zip(1..) {
            first.put(key, version).await;
        }
        let of_rival = &keys[7];
        let rival = harness.entry(Rival {
            key: of_rival.clone(),
            version: 1,
            payload: String::new(),
        });
        // It may displace the other type's entry.
        stored(first.put_entry(of_rival, rival).await, of_rival);
        stored(
            first.put_entry(&keys[8], harness.absence::<Rival>()).await,
            &keys[8],
        );

        let answer = second.backend.clear_prefix(&beginning).await;
        if !harness.has_clear() {
            let refused = matches!(answer, Err(Error::ConfigError(_)));
            assert!(
                refused,
                "{}: {answer:?} instead of an error",
                shown(&beginning)
            );
            first
                .expect(&keys[0], Some(1), "after a refused clear")
                .await;
            return;
        }
        let cleared = no_error(answer, "clear_prefix", &beginning);
        done(cleared, &beginning);
        assert!(
            (KEYS..=2 * KEYS + 2).contains(&cleared.keys),
            "{}: {} keys dropped where {KEYS} were stored",
            shown(&beginning),
            cleared.keys
        );
        for client in [&first, &second] {
            for key in &keys {
                client.expect(key, None, "cleared").await;
            }
            let rival = client.entry::<Rival>(of_rival).await;
            assert!(
                rival.is_none(),
                "{}: another type is still there after a clear",
                shown(of_rival)
            );
            for (neighbour, version) in neighbours.iter().zip(KEYS + 1..) {
                let when = format!("after a clear of {}", shown(&beginning));
                client.expect(neighbour, Some(version), &when).await;
            }
        }
        let again = first.backend.clear_prefix(&beginning).await;
        let again = no_error(again, "clear_prefix", &beginning);
        assert!(
            again == Cleared::nothing(),
            "{}: {again:?} where nothing was left",
            shown(&beginning)
        );
    }
}

/// No lease that was taken before a clear fills its key after it; every one that is taken after it does.
pub async fn a_clear_voids_every_lease_under_its_beginning<B: CacheBackend>(harness: &Harness<B>) {
    if !harness.has_clear() {
        return;
    }
    let (first, second) = harness.clients();
    let beginning = harness.key("clear of leases");
    let key = |what: &str| format!("{beginning}{what}");
    let (missing, over, invalidating, filled) = (
        key("missing"),
        key("over"),
        key("invalidating"),
        key("filled"),
    );
    let beside = harness.key("beside a clear");
    first.put(&over, 1).await;
    let mut leases = Vec::new();
    for (key, take) in [
        (&missing, Take::IfMissing),
        (&over, Take::Over),
        (&invalidating, Take::Invalidating),
        (&filled, Take::IfMissing),
        (&beside, Take::IfMissing),
    ] {
        leases.push((key, first.granted(key, take).await.0));
    }
    // One that is stored before the clear.
    if let Some(place) = leases.iter().position(|(key, _)| *key == &filled) {
        let (key, lease) = leases.swap_remove(place);
        stored(first.fill(key, lease, 1).await, key);
    }
    clear(&second, &beginning).await;
    let mut late = None;
    for (key, lease) in leases {
        match key == &beside {
            true => stored(first.fill(key, lease, 2).await, key),
            false => {
                fenced(first.fill(key, lease, 2).await, key);
                late = Some(key);
            }
        }
    }
    assert!(late.is_some(), "no lease was late");
    for key in [&missing, &over, &invalidating, &filled] {
        for client in [&first, &second] {
            client
                .expect(key, None, "cleared while a load was under way")
                .await;
        }
        let (lease, _) = second.granted(key, Take::IfMissing).await;
        stored(second.fill(key, lease, 3).await, key);
        first.expect(key, Some(3), "loaded after the clear").await;
    }
    first
        .expect(&beside, Some(2), "beside what was cleared")
        .await;
}

async fn clear<B: CacheBackend>(client: &Client<'_, B>, beginning: &str) {
    let answer = client.backend.clear_prefix(beginning).await;
    done(no_error(answer, "clear_prefix", beginning), beginning);
}

#[track_caller]
fn done(cleared: Cleared, beginning: &str) {
    assert!(
        cleared.invalidated == Invalidated::Done,
        "{}: {cleared:?} instead of Done; is the store reachable?",
        shown(beginning)
    );
}
