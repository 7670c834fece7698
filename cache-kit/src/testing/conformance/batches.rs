//! Many keys in one command: an answer for each, in order.

use crate::backend::{CacheBackend, Leased, Lookup, Stored, Take};
use crate::error::Result;

use super::client::{answer, done, fenced, lease_in, no_error, shown, stored, version_of};
use super::harness::Harness;
use super::specimen::{Specimen, heavy, specimen};

/// Checks the answers of a `get_many`: each is a specimen of its key, of the version that `wanted`
/// gives for its index.
#[track_caller]
pub(super) fn expect_versions(
    keys: &[&str],
    found: Vec<Result<Lookup<Specimen>>>,
    wanted: impl Fn(usize) -> Option<u64>,
) {
    assert!(
        found.len() == keys.len(),
        "get_many gave {} answers for {} keys",
        found.len(),
        keys.len()
    );
    for (at, (key, found)) in keys.iter().zip(found).enumerate() {
        let version = match no_error(found, "get_many", key) {
            Lookup::Hit { entry, .. } => Some(version_of(key, &entry)),
            Lookup::Miss { .. } => None,
        };
        assert!(
            version == wanted(at),
            "{}: place {at} of get_many has version {version:?} instead of {:?}",
            shown(key),
            wanted(at)
        );
    }
}

/// A batch without keys has no answers and is no error.
pub async fn empty_batches_are_answered<B: CacheBackend>(harness: &Harness<B>) {
    let backend = harness.connect();
    let now = harness.now();
    let answers = [
        backend.get_many::<Specimen>(&[], now).await.len(),
        backend.lease_many::<Specimen>(&[]).await.len(),
        backend.store_many::<Specimen>(Vec::new(), now).await.len(),
        backend.release_many::<Specimen>(Vec::new()).await.len(),
        backend.invalidate_many::<Specimen>(&[]).await.len(),
    ];
    assert_eq!(answers, [0; 5], "answers for no keys");
}

/// Look-ups answer in the order of their keys, misses and duplicates included.
pub async fn look_ups_keep_order_duplicates_and_holes<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    let keys: Vec<String> = (0..100).map(|n| harness.key(&n.to_string())).collect();
    // Every third key is a hole.
    let version = |n: usize| (!n.is_multiple_of(3)).then_some(n as u64);
    for (n, key) in keys.iter().enumerate() {
        if let Some(version) = version(n) {
            first.put(key, version).await;
        }
    }
    // All keys in mixed order, some twice; then one key alone, as a hit and as a miss.
    let scattered: Vec<usize> = (0..150).map(|n| n * 37 % 100).collect();
    for order in [scattered, vec![1], vec![0], vec![5, 5, 5], vec![3, 4, 3, 4]] {
        let asked: Vec<&str> = order.iter().map(|n| keys[*n].as_str()).collect();
        let found = second.backend.get_many(&asked, harness.now()).await;
        expect_versions(&asked, found, |at| version(order[at]));
    }
}

/// Each lease is granted as its own request says, and is valid for the key at its index. Of two
/// requests for one key at most one is filled.
pub async fn leases_keep_order_and_their_own_requests<B: CacheBackend>(harness: &Harness<B>) {
    let (client, other) = harness.clients();
    let key = |name: &str| harness.key(name);
    let (empty, taken, over, emptied, last) = (
        key("empty"),
        key("taken"),
        key("over"),
        key("emptied"),
        key("last"),
    );
    for key in [&taken, &over, &emptied] {
        other.put(key, 1).await;
    }
    let requests = [
        (empty.as_str(), harness.request(Take::IfMissing)),
        (&taken, harness.request(Take::IfMissing)),
        (&over, harness.request(Take::Over)),
        (&emptied, harness.request(Take::Invalidating)),
        (&empty, harness.request(Take::IfMissing)),
        (&last, harness.request(Take::IfMissing)),
    ];
    let answers = client.backend.lease_many::<Specimen>(&requests).await;
    assert_eq!(answers.len(), requests.len(), "an answer for each");
    other.expect(&taken, Some(1), "asked for a lease").await;
    other.expect(&over, Some(1), "leased over").await;
    other
        .expect(&emptied, None, "leased with Invalidating")
        .await;

    let mut leases = Vec::new();
    for (at, (leased, (key, request))) in answers.into_iter().zip(requests).enumerate() {
        let leased = no_error(leased, "lease_many", key);
        match at {
            1 => assert!(
                matches!(leased, Leased::Found),
                "{}: {} over an entry",
                shown(key),
                answer(&leased)
            ),
            4 => match leased {
                Leased::Granted { lease, .. } => leases.push((at, key, lease)),
                Leased::Busy { .. } => {}
                leased => panic!("{}: {} the second time", shown(key), answer(&leased)),
            },
            _ => leases.push((at, key, lease_in(leased, key, request.take).0)),
        }
    }
    for (at, key, lease) in leases {
        let filled = client.fill(key, lease, 10 + at as u64).await;
        if at == 4 {
            fenced(filled, key);
        } else {
            stored(filled, key);
        }
    }
    let keys = [&empty, &taken, &over, &emptied, &last].map(String::as_str);
    let found = other.backend.get_many(&keys, harness.now()).await;
    let versions = [10, 1, 12, 13, 15];
    expect_versions(&keys, found, |at| Some(versions[at]));
}

/// Stores answer in order. A fenced store affects no other, and of two stores under one key one
/// goes through.
pub async fn stores_keep_order_and_fences<B: CacheBackend>(harness: &Harness<B>) {
    let (client, other) = harness.clients();
    let keys: Vec<String> = (0..40).map(|n| harness.key(&n.to_string())).collect();
    let mut batch = Vec::new();
    for (version, key) in keys.iter().enumerate() {
        let (lease, _) = client.granted(key, Take::Over).await;
        let entry = harness.entry(specimen(key, version as u64));
        batch.push((key.as_str(), lease, entry));
    }
    let (twice, _) = client.granted(&keys[7], Take::Over).await;
    batch.push((&keys[7], twice, harness.entry(specimen(&keys[7], 7))));
    let is_void = |at: usize| at % 5 == 3;
    for key in keys
        .iter()
        .enumerate()
        .filter_map(|(at, key)| is_void(at).then_some(key))
    {
        other.invalidate(key).await;
    }
    let answers = client.backend.store_many(batch, harness.now()).await;
    assert_eq!(answers.len(), keys.len() + 1, "an answer for each");
    let mut sevens = Vec::new();
    for (at, answer) in answers.into_iter().enumerate() {
        let key = keys.get(at).unwrap_or(&keys[7]);
        let answer = no_error(answer, "store_many", key);
        match at {
            7 | 40 => sevens.push(answer),
            at if is_void(at) => fenced(answer, key),
            _ => stored(answer, key),
        }
    }
    assert!(
        sevens == [Stored::Stored, Stored::Fenced] || sevens == [Stored::Fenced, Stored::Stored],
        "{}: two leases in one batch end as {sevens:?}",
        shown(&keys[7])
    );
    let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found = other.backend.get_many(&texts, harness.now()).await;
    expect_versions(&texts, found, |at| (!is_void(at)).then_some(at as u64));
}

/// Of a batch of stores, one that is too large is refused, nothing is left under its key, and the
/// others go through.
pub async fn a_store_too_large_spoils_only_itself<B: CacheBackend>(harness: &Harness<B>) {
    let (client, other) = harness.clients();
    let limit = harness.limit().unwrap_or(1 << 16);
    let keys = [0, 1, 2].map(|n: u64| harness.key(&n.to_string()));
    let mut batch = Vec::new();
    for (version, key) in (10..).zip(&keys) {
        other.put(key, 1).await;
        let (lease, _) = client.granted(key, Take::Over).await;
        let bytes = if version == 11 { limit + 1 } else { 10 };
        batch.push((
            key.as_str(),
            lease,
            harness.entry(heavy(key, version, bytes)),
        ));
    }
    let answers = client.backend.store_many(batch, harness.now()).await;
    assert_eq!(answers.len(), keys.len(), "an answer for each");
    let mut refused = false;
    for (at, (answer, key)) in answers.into_iter().zip(&keys).enumerate() {
        let answer = no_error(answer, "store_many", key);
        if at == 1 && harness.limit().is_some() {
            refused = answer == Stored::TooLarge;
            assert!(refused, "{}: {answer:?} past the limit", shown(key));
        } else {
            stored(answer, key);
        }
    }
    let texts = [0, 1, 2].map(|n: usize| keys[n].as_str());
    let found = other.backend.get_many(&texts, harness.now()).await;
    expect_versions(&texts, found, |at| {
        (at != 1 || !refused).then_some(at as u64 + 10)
    });
}

/// Each release frees its own key and leaves what was stored there since.
pub async fn releases_free_each_its_own_key<B: CacheBackend>(harness: &Harness<B>) {
    let (client, other) = harness.clients();
    let keys: Vec<String> = (0..6).map(|n| harness.key(&n.to_string())).collect();
    let mut batch = Vec::new();
    let mut fences = Vec::new();
    for key in &keys {
        let (lease, fence) = client.granted(key, Take::IfMissing).await;
        batch.push((key.as_str(), lease));
        fences.push(fence);
    }
    // The third key is filled under another lease, and the fourth lease is kept.
    other.put(&keys[2], 2).await;
    let (_, kept) = batch.remove(3);
    let answers = client.backend.release_many::<Specimen>(batch).await;
    assert_eq!(answers.len(), 5, "an answer for each");
    for answer in answers {
        no_error(answer, "release_many", &keys[0]);
    }
    for at in [0, 1, 4, 5] {
        let (lease, fence) = other.granted(&keys[at], Take::IfMissing).await;
        assert!(fence != fences[at], "{}: not released", shown(&keys[at]));
        stored(other.fill(&keys[at], lease, at as u64).await, &keys[at]);
    }
    stored(client.fill(&keys[3], kept, 3).await, &keys[3]);
    let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found = client.backend.get_many(&texts, harness.now()).await;
    expect_versions(&texts, found, |at| Some(at as u64));
}

/// Every invalidation is acknowledged, duplicates and missing keys included. It makes the leases on
/// its key worthless and touches no other key.
pub async fn invalidations_reach_all_of_their_keys<B: CacheBackend>(harness: &Harness<B>) {
    let (client, other) = harness.clients();
    let keys: Vec<String> = (0..20).map(|n| harness.key(&n.to_string())).collect();
    let stays = |at: usize| at.is_multiple_of(4);
    for (version, key) in keys.iter().enumerate() {
        client.put(key, version as u64).await;
    }
    let hole = harness.key("hole");
    let (over, _) = other.granted(&keys[1], Take::Over).await;
    let (loading, _) = other.granted(&hole, Take::IfMissing).await;
    let mut gone: Vec<&str> = (0..20)
        .rev()
        .filter(|at| !stays(*at))
        .map(|at| keys[at].as_str())
        .collect();
    gone.extend([hole.as_str(), &keys[1], &hole]);
    let answers = client.backend.invalidate_many::<Specimen>(&gone).await;
    assert_eq!(answers.len(), gone.len(), "an answer for each");
    for (answer, key) in answers.into_iter().zip(&gone) {
        done(no_error(answer, "invalidate_many", key), key);
    }
    fenced(other.fill(&keys[1], over, 99).await, &keys[1]);
    fenced(other.fill(&hole, loading, 99).await, &hole);
    other.expect(&hole, None, "invalidated").await;
    let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found = other.backend.get_many(&texts, harness.now()).await;
    expect_versions(&texts, found, |at| stays(at).then_some(at as u64));
}
