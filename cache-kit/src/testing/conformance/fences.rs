//! Fences: which leases an invalidation or another store makes worthless.

use std::collections::HashSet;

use crate::backend::{CacheBackend, Fence, Take};

use super::client::{fenced, shown, stored};
use super::harness::Harness;
use super::specimen::Specimen;

/// Every client sees at once what another stores or invalidates.
pub async fn clients_share_one_store<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    let key = harness.key("shared");
    for version in [1, 3, 5] {
        first.put(&key, version).await;
        second
            .expect(&key, Some(version), "stored by another client")
            .await;
        second.put(&key, version + 1).await;
        first
            .expect(&key, Some(version + 1), "stored by another client")
            .await;
        // Asked again: if the first client kept a copy of its own, it would be old by now.
        second.invalidate(&key).await;
        first
            .expect(&key, None, "invalidated by another client")
            .await;
    }
}

/// Of two leases on one key, only the first store goes through; the other is fenced and changes
/// nothing. The same holds for absences.
pub async fn of_two_leases_one_fills<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    for occupied in [false, true] {
        for first_wins in [true, false] {
            let key = harness.key("race");
            if occupied {
                first.put(&key, 1).await;
            }
            let (one, _) = first.granted(&key, Take::Over).await;
            let (two, _) = second.granted(&key, Take::Over).await;
            let version = if first_wins {
                stored(first.fill(&key, one, 2).await, &key);
                fenced(second.fill(&key, two, 3).await, &key);
                2
            } else {
                stored(second.fill(&key, two, 3).await, &key);
                let absence = harness.absence::<Specimen>();
                fenced(first.store(&key, one, absence).await, &key);
                3
            };
            for client in [&first, &second] {
                client
                    .expect(&key, Some(version), "two leases were filled")
                    .await;
            }
        }
    }
}

/// A store under a lease that was overtaken is fenced and changes nothing, whichever client
/// overtook it and whatever is there since: nothing, a lease, an entry, an absence.
pub async fn an_overtaken_store_changes_nothing<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    for take in [Take::IfMissing, Take::Over, Take::Invalidating] {
        let key = harness.key("overtaken-by-nothing");
        let (late, _) = first.granted(&key, take).await;
        second.invalidate(&key).await;
        fenced(first.fill(&key, late, 1).await, &key);
        second.expect(&key, None, "a fenced store").await;
        // The fenced store has left nothing behind.
        let (lease, _) = second.granted(&key, Take::IfMissing).await;
        stored(second.fill(&key, lease, 2).await, &key);

        let key = harness.key("overtaken-by-a-lease");
        let (late, _) = first.granted(&key, take).await;
        let (lease, _) = second.granted(&key, Take::Invalidating).await;
        fenced(first.fill(&key, late, 1).await, &key);
        second.expect(&key, None, "a fenced store").await;
        stored(second.fill(&key, lease, 2).await, &key);
        first
            .expect(&key, Some(2), "stored after a fenced store")
            .await;

        let key = harness.key("overtaken-by-an-entry");
        let (late, _) = first.granted(&key, take).await;
        second.put(&key, 2).await;
        fenced(first.fill(&key, late, 1).await, &key);
        first.expect(&key, Some(2), "a fenced store").await;

        let key = harness.key("overtaken-by-an-absence");
        let (late, _) = first.granted(&key, take).await;
        let absence = harness.absence::<Specimen>();
        stored(second.put_entry(&key, absence).await, &key);
        fenced(first.fill(&key, late, 1).await, &key);
        let found = first.entry::<Specimen>(&key).await;
        assert!(
            found.is_some_and(|entry| entry.value.is_none()),
            "{}: a fenced store took the place of an absence",
            shown(&key)
        );
    }
    if let Some(limit) = harness.limit() {
        let key = harness.key("overtaken-too-large");
        let (late, _) = first.granted(&key, Take::Over).await;
        second.put(&key, 2).await;
        let large = harness.entry(super::specimen::heavy(&key, 1, limit + 1));
        fenced(first.store(&key, late, large).await, &key);
        first
            .expect(&key, Some(2), "a fenced store of a large entry")
            .await;
    }
}

/// [`Take::Invalidating`] removes at once for all clients, makes every older lease worthless, and
/// can itself be filled.
pub async fn an_invalidating_lease_removes_at_once<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    let key = harness.key("invalidating");
    first.put(&key, 1).await;
    let (mine, _) = first.granted(&key, Take::Over).await;
    let (other, _) = second.granted(&key, Take::Over).await;
    let (newest, fence) = first.granted(&key, Take::Invalidating).await;
    for client in [&first, &second] {
        client.expect(&key, None, "leased with Invalidating").await;
        let told = client.fence(&key).await;
        assert!(
            told.is_none_or(|told| told == fence),
            "{}: a miss tells {told:?} where {fence} stands",
            shown(&key)
        );
    }
    fenced(first.fill(&key, mine, 2).await, &key);
    fenced(second.fill(&key, other, 3).await, &key);
    second.expect(&key, None, "two fenced stores").await;
    stored(first.fill(&key, newest, 4).await, &key);
    second
        .expect(&key, Some(4), "filled under the newest lease")
        .await;

    let (older, _) = first.granted(&key, Take::Invalidating).await;
    let (newer, _) = second.granted(&key, Take::Invalidating).await;
    fenced(first.fill(&key, older, 5).await, &key);
    stored(second.fill(&key, newer, 6).await, &key);
    first.expect(&key, Some(6), "two invalidating leases").await;

    let (lease, _) = first.granted(&key, Take::Invalidating).await;
    first.release(&key, lease).await;
    second
        .expect(&key, None, "invalidated, the lease released")
        .await;
}

/// An acknowledged invalidation removes for all clients and makes every lease worthless, whichever
/// client holds it and whatever it was taken over.
pub async fn an_invalidation_voids_every_lease<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    for take in [Take::IfMissing, Take::Over, Take::Invalidating] {
        for by_holder in [true, false] {
            let key = harness.key("voided");
            if take != Take::IfMissing {
                first.put(&key, 1).await;
            }
            let (lease, _) = first.granted(&key, take).await;
            let by = if by_holder { &first } else { &second };
            by.invalidate(&key).await;
            for client in [&first, &second] {
                client.expect(&key, None, "invalidated").await;
            }
            fenced(first.fill(&key, lease, 2).await, &key);
            for client in [&first, &second] {
                client
                    .expect(&key, None, "a store from before the invalidation")
                    .await;
            }
            second.put(&key, 3).await;
            first
                .expect(&key, Some(3), "stored after an invalidation")
                .await;
        }
    }
}

/// An invalidation of an empty key, or of one with only a lease, is acknowledged as well and makes
/// the lease worthless. Doing it twice changes nothing.
pub async fn an_invalidation_of_nothing_counts<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    let key = harness.key("nothing");
    second.invalidate(&key).await;
    second.invalidate(&key).await;
    let (lease, _) = first.granted(&key, Take::IfMissing).await;
    second.invalidate(&key).await;
    fenced(first.fill(&key, lease, 1).await, &key);
    first.expect(&key, None, "a fenced store").await;
    let (lease, _) = first.granted(&key, Take::IfMissing).await;
    stored(first.fill(&key, lease, 2).await, &key);
    second
        .expect(&key, Some(2), "stored after an invalidation")
        .await;
}

/// The fence of a key changes with every store and every invalidation, and never returns to an
/// earlier value.
pub async fn a_fence_is_never_used_twice<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    let key = harness.key("fences");
    let mut seen: HashSet<Fence> = HashSet::new();
    let mut fresh = |fence: Fence, of: &str| {
        assert!(
            seen.insert(fence),
            "{}: {fence} is used twice, now for {of}",
            shown(&key)
        );
    };
    for version in 1..20 {
        let client = if version % 2 == 0 { &first } else { &second };
        let (lease, fence) = client.granted(&key, Take::IfMissing).await;
        fresh(fence, "a lease");
        stored(client.fill(&key, lease, version).await, &key);
        let (lease, fence) = client.granted(&key, Take::Over).await;
        fresh(fence, "an entry");
        // The very same entry again.
        stored(client.fill(&key, lease, version).await, &key);
        let (lease, fence) = client.granted(&key, Take::Over).await;
        fresh(fence, "the same entry, stored again");
        client.release(&key, lease).await;
        let (lease, fence) = client.granted(&key, Take::Invalidating).await;
        fresh(fence, "an invalidating lease");
        client.release(&key, lease).await;
        client.invalidate(&key).await;
    }
}
