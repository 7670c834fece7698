//! Leases: when one is granted, and how it ends without a store.

use crate::backend::{CacheBackend, Fence, Leased, Take};

use super::client::{Client, answer, fenced, lease_in, shown, stored};
use super::harness::Harness;
use super::specimen::Specimen;

/// [`Take::IfMissing`] is granted on an empty key, and answers [`Leased::Found`] over an entry,
/// absences included. Over another lease it is either [`Leased::Busy`] with that lease's fence, or
/// granted under the same fence: a shared lease, which only one holder fills.
pub async fn a_lease_if_missing_is_had_only_where_nothing_is<B: CacheBackend>(
    harness: &Harness<B>,
) {
    let (first, second) = harness.clients();
    let key = harness.key("if-missing");
    let (lease, fence) = first.granted(&key, Take::IfMissing).await;
    for client in [&first, &second] {
        match client
            .lease::<Specimen>(&key, harness.request(Take::IfMissing))
            .await
        {
            Leased::Busy { fence: other } | Leased::Granted { fence: other, .. } => assert!(
                other == fence,
                "{}: the fence of the lease that stands there is {fence}, not {other}",
                shown(&key)
            ),
            other => panic!("{}: {} over a lease", shown(&key), answer(&other)),
        }
        let told = client.fence(&key).await;
        assert!(
            told.is_none_or(|told| told == fence),
            "{}: a miss tells {told:?} where {fence} stands",
            shown(&key)
        );
    }
    first.expect(&key, None, "leased and not stored").await;
    stored(first.fill(&key, lease, 1).await, &key);

    let absent = harness.key("if-missing-absence");
    let absence = harness.absence::<Specimen>();
    stored(first.put_entry(&absent, absence).await, &absent);
    for (client, key) in [(&first, &key), (&second, &key), (&second, &absent)] {
        let leased = client
            .lease::<Specimen>(key, harness.request(Take::IfMissing))
            .await;
        assert!(
            matches!(leased, Leased::Found),
            "{}: {} over an entry",
            shown(key),
            answer(&leased)
        );
    }
    second.expect(&key, Some(1), "asked for a lease").await;
}

/// [`Take::Over`] leaves what is there readable until the store or the release; its fence is the
/// entry's. Over another lease it is granted, and the other lease stays valid.
pub async fn a_lease_over_leaves_all_standing_until_the_store<B: CacheBackend>(
    harness: &Harness<B>,
) {
    let (first, second) = harness.clients();
    let key = harness.key("over");
    first.put(&key, 1).await;
    let entrys = second.fence(&key).await;
    let (lease, fence) = second.granted(&key, Take::Over).await;
    for client in [&first, &second] {
        client.expect(&key, Some(1), "leased over").await;
    }
    assert!(
        entrys.is_none_or(|entrys| entrys == fence),
        "{}: a look-up tells {entrys:?}, a lease over the entry {fence}",
        shown(&key)
    );
    stored(second.fill(&key, lease, 2).await, &key);
    first.expect(&key, Some(2), "stored over").await;

    let (lease, _) = first.granted(&key, Take::Over).await;
    first.release(&key, lease).await;
    for client in [&first, &second] {
        client
            .expect(&key, Some(2), "leased over and released")
            .await;
    }

    let key = harness.key("over-a-lease");
    let (standing, fence) = first.granted(&key, Take::IfMissing).await;
    let (over, same) = second.granted(&key, Take::Over).await;
    assert!(
        fence == same,
        "{}: {same} over the lease {fence}",
        shown(&key)
    );
    stored(first.fill(&key, standing, 3).await, &key);
    fenced(second.fill(&key, over, 4).await, &key);
    first
        .expect(&key, Some(3), "filled under the older lease")
        .await;
}

/// A lease that is requested again under its id, as after a lost answer, is the same lease: granted
/// under the same fence, and filled once.
pub async fn a_lease_sent_again_is_the_same_lease<B: CacheBackend>(harness: &Harness<B>) {
    let (client, other) = harness.clients();
    for take in [Take::IfMissing, Take::Over] {
        let key = harness.key("again");
        let request = harness.request(take);
        let (once, fence) = lease_in(client.lease::<Specimen>(&key, request).await, &key, take);
        let (again, same) = lease_in(client.lease::<Specimen>(&key, request).await, &key, take);
        assert!(
            fence == same,
            "{}: {same} for the lease {fence}",
            shown(&key)
        );
        stored(client.fill(&key, again, 1).await, &key);
        fenced(client.fill(&key, once, 2).await, &key);
        other.expect(&key, Some(1), "stored once").await;
    }
    let take = Take::Invalidating;
    let key = harness.key("again-invalidating");
    client.put(&key, 1).await;
    let request = harness.request(take);
    let (_lost, _) = lease_in(client.lease::<Specimen>(&key, request).await, &key, take);
    let (again, _) = lease_in(client.lease::<Specimen>(&key, request).await, &key, take);
    other.expect(&key, None, "invalidated twice").await;
    stored(client.fill(&key, again, 2).await, &key);
    other
        .expect(&key, Some(2), "stored under a repeated lease")
        .await;
}

/// A released key is free at once, for all clients.
pub async fn a_released_key_is_free<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    for take in [Take::IfMissing, Take::Over, Take::Invalidating] {
        for next in [&first, &second] {
            let key = harness.key("released");
            let (lease, fence) = first.granted(&key, take).await;
            first.release(&key, lease).await;
            let told = next.fence(&key).await;
            assert!(told != Some(fence), "{}: {fence} still stands", shown(&key));
            let (lease, newer) = next.granted(&key, Take::IfMissing).await;
            assert!(newer != fence, "{}: {fence} is used twice", shown(&key));
            stored(next.fill(&key, lease, 1).await, &key);
        }
    }
}

/// A release never removes what was put there since: an entry, or another lease.
pub async fn a_release_leaves_what_others_put_there<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    let key = harness.key("release-entry");
    let (late, _) = first.granted(&key, Take::IfMissing).await;
    second.put(&key, 1).await;
    first.release(&key, late).await;
    first.expect(&key, Some(1), "a late release").await;

    let (late, _) = first.granted(&key, Take::Over).await;
    second.put(&key, 2).await;
    first.release(&key, late).await;
    first.expect(&key, Some(2), "a late release").await;

    let key = harness.key("release-lease");
    let (late, _) = first.granted(&key, Take::IfMissing).await;
    let (lease, _) = second.granted(&key, Take::Invalidating).await;
    first.release(&key, late).await;
    stored(second.fill(&key, lease, 3).await, &key);
    first.expect(&key, Some(3), "a late release").await;

    let (late, _) = first.granted(&key, Take::Invalidating).await;
    second.invalidate(&key).await;
    let (lease, _) = second.granted(&key, Take::Over).await;
    first.release(&key, late).await;
    stored(second.fill(&key, lease, 4).await, &key);
    first.expect(&key, Some(4), "a late release").await;
}

/// A lease that is dropped is given up, at the latest when it expires. The entry that it was taken
/// over stays.
pub async fn a_dropped_lease_is_given_up<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    let kept = harness.key("dropped-over");
    first.put(&kept, 1).await;
    drop(first.granted(&kept, Take::Over).await);

    let keys = [Take::IfMissing, Take::Over, Take::Invalidating].map(|take| {
        let key = harness.key("dropped");
        (key, take)
    });
    let mut fences = Vec::new();
    for (key, take) in &keys {
        let (lease, fence) = first.granted(key, *take).await;
        drop(lease);
        fences.push(fence);
    }
    for ((key, _), fence) in keys.iter().zip(fences) {
        comes_free(&second, key, fence).await;
    }
    first
        .expect(&kept, Some(1), "a dropped lease over it")
        .await;
}

/// A store under a lease that has outlived its lifetime never displaces what was stored under a
/// newer one.
pub async fn an_outlived_lease_yields_to_a_newer_one<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    let key = harness.key("outlived");
    let (late, _) = first.granted(&key, Take::IfMissing).await;
    harness.pass(harness.lifetime()).await;
    harness.pass(harness.lifetime() / 4).await;
    let (lease, _) = second.granted(&key, Take::IfMissing).await;
    stored(second.fill(&key, lease, 2).await, &key);
    fenced(first.fill(&key, late, 1).await, &key);
    first
        .expect(&key, Some(2), "a store under an old lease")
        .await;
}

/// Waits until `key` is free of the lease under `fence`, not much longer than a lease may live.
pub(super) async fn comes_free<B: CacheBackend>(client: &Client<'_, B>, key: &str, fence: Fence) {
    const ROUNDS: u32 = 16;
    let harness = client.harness;
    for _ in 0..=ROUNDS + ROUNDS / 4 {
        let request = harness.request(Take::IfMissing);
        match client.lease::<Specimen>(key, request).await {
            // In a store that shares leases, the fence shows whether this lease is still there.
            Leased::Granted {
                fence: granted,
                lease,
            } if granted != fence => {
                stored(client.fill(key, lease, 9).await, key);
                return client.expect(key, Some(9), "a lease was given up").await;
            }
            Leased::Granted { .. } | Leased::Busy { .. } => {}
            other => panic!("{}: {} after a dropped lease", shown(key), answer(&other)),
        }
        harness.pass(harness.lifetime() / ROUNDS).await;
    }
    panic!(
        "{}: a lease that nobody holds was never given up",
        shown(key)
    );
}
