//! How long entries live.

use std::time::Duration;

use crate::backend::{CacheBackend, Take};
use crate::clock::Timestamp;
use crate::entry::Entry;

use super::client::{shown, stored};
use super::harness::Harness;
use super::specimen::{Specimen, specimen};

const DAY: Duration = Duration::from_secs(86_400);

/// What a store may add to a lifetime: a store that counts whole seconds rounds up.
const ROUNDING: Duration = Duration::from_millis(2_500);

fn living<B>(harness: &Harness<B>, key: &str, version: u64, expires: Timestamp) -> Entry<Specimen>
where
    B: CacheBackend,
{
    Entry {
        stale_from: Timestamp::NEVER,
        expires,
        ..harness.entry(specimen(key, version))
    }
}

/// By the caller's clock an entry is served until its `expires`, stale or not. From then on it is a
/// miss that does not prevent a lease with [`Take::IfMissing`].
pub async fn an_entry_is_gone_at_its_expiry<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    let key = harness.key("expiry");
    let now = harness.now();
    let expires = now.after(Duration::from_secs(60));
    let just_before = Timestamp::from_millis(expires.as_millis() - 1);
    let entry = Entry {
        stale_from: now.after(Duration::from_secs(30)),
        ..living(harness, &key, 1, expires)
    };
    stored(first.put_entry(&key, entry).await, &key);
    for client in [&first, &second] {
        for at in [now, now.after(Duration::from_secs(30)), just_before] {
            let found: Option<Entry<Specimen>> = client.entry_at(&key, at).await;
            assert!(found.is_some(), "{}: gone before its expiry", shown(&key));
        }
        for at in [expires, expires.after(DAY), Timestamp::NEVER] {
            let found: Option<Entry<Specimen>> = client.entry_at(&key, at).await;
            assert!(found.is_none(), "{}: served at its expiry", shown(&key));
        }
    }
    let at = |now| super::client::request(Take::IfMissing, now);
    let leased = second.lease::<Specimen>(&key, at(just_before)).await;
    assert!(
        matches!(leased, crate::backend::Leased::Found),
        "{}: {} for an entry that has not expired",
        shown(&key),
        super::client::answer(&leased)
    );
    let leased = second.lease::<Specimen>(&key, at(expires)).await;
    let (lease, _) = super::client::lease_in(leased, &key, Take::IfMissing);
    stored(second.fill(&key, lease, 2).await, &key);
    first
        .expect(&key, Some(2), "stored over an expired entry")
        .await;
}

/// A lifetime of some milliseconds ends when they have passed. In a store outside the process it
/// also ends by the store's own time, whatever the caller's clock shows, so that nothing stays
/// behind.
pub async fn a_short_life_ends<B: CacheBackend>(harness: &Harness<B>) {
    let client = harness.client();
    let now = harness.now();
    let lives = [1, 10, 250, 999].map(|millis| {
        let key = harness.key("short");
        (key, Duration::from_millis(millis))
    });
    for (key, life) in &lives {
        // By the time of the store it may have expired already, so the answer is not checked.
        let entry = living(harness, key, 1, now.after(*life));
        client.put_entry(key, entry).await;
        let found: Option<Entry<Specimen>> = client.entry_at(key, now.after(*life)).await;
        assert!(
            found.is_none(),
            "{}: lives longer than {life:?}",
            shown(key)
        );
    }
    harness.pass(Duration::from_millis(999)).await;
    for (key, _) in &lives {
        client.expect(key, None, "after its time to live").await;
    }
    if harness.has_collected_expired() {
        harness.pass(ROUNDING).await;
        for (key, life) in &lives {
            let found: Option<Entry<Specimen>> = client.entry_at(key, now).await;
            assert!(
                found.is_none(),
                "{}: the store still has it long after {life:?}",
                shown(key)
            );
        }
    }
}

/// Lifetimes of a few seconds, about thirty days (where some protocols change the meaning), many
/// years and for ever are all kept: none ends early.
pub async fn every_length_of_life_is_kept<B: CacheBackend>(harness: &Harness<B>) {
    let client = harness.client();
    let second = Duration::from_secs(1);
    let now = harness.now();
    let expiries = [
        now.after(second * 10),
        now.after(second * 59),
        now.after(second * 3_600),
        now.after(DAY * 30 - second),
        now.after(DAY * 30),
        now.after(DAY * 30 + second),
        now.after(DAY * 31),
        // More milliseconds than 32 bits hold.
        now.after(DAY * 50),
        now.after(DAY * 365),
        // More seconds than 31 bits hold.
        now.after(DAY * 365 * 100),
        now.after(DAY * 365 * 1_000_000),
        Timestamp::from_millis(i64::MAX as u64),
        Timestamp::from_millis(i64::MAX as u64 + 1),
        Timestamp::from_millis(u64::MAX - 1),
        Timestamp::NEVER,
    ];
    let lives = expiries.map(|expires| (harness.key("life"), expires));
    for (key, expires) in &lives {
        let entry = living(harness, key, 1, *expires);
        stored(client.put_entry(key, entry).await, key);
    }
    for round in ["right after the store", "a second later"] {
        for (key, expires) in &lives {
            let found: Option<Entry<Specimen>> = client.entry(key).await;
            let millis = expires.as_millis() - now.as_millis();
            let Some(found) = found else {
                panic!("{}: a life of {millis} ms has ended {round}", shown(key));
            };
            assert!(
                found.expires == *expires,
                "{}: {found:?} came back for a life of {millis} ms",
                shown(key)
            );
        }
        harness.pass(second).await;
    }
    for (key, _) in &lives {
        client.invalidate(key).await;
    }
}

/// An entry that never expires stays, even where the backend has a default time to live.
pub async fn an_entry_without_expiry_stays<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    let key = harness.key("for-ever");
    let entry = living(harness, &key, 1, Timestamp::NEVER);
    stored(first.put_entry(&key, entry).await, &key);
    let default = first.backend.default_ttl().unwrap_or_default();
    let wait = if harness.sleeps() {
        Duration::from_millis(1_100)
    } else {
        default + DAY
    };
    harness.pass(wait).await;
    let in_a_century = harness.now().after(DAY * 36_525);
    for client in [&first, &second] {
        let found: Option<Entry<Specimen>> = client.entry_at(&key, in_a_century).await;
        assert!(found.is_some(), "{}: gone without an expiry", shown(&key));
    }
    first.invalidate(&key).await;
    second.expect(&key, None, "invalidated").await;
}

/// Storing an entry that has expired by then is no error. Neither it nor the old entry is ever
/// served, and the key is free for the next lease.
pub async fn what_has_expired_when_stored_is_nothing<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    let now = harness.now();
    let expiries = [
        now,
        Timestamp::from_millis(now.as_millis() - 1),
        Timestamp::from_millis(now.as_millis() - 86_400_000),
        Timestamp::from_millis(0),
    ];
    for expires in expiries {
        let key = harness.key("expired");
        first.put(&key, 1).await;
        // Whether it was kept at all is not checked.
        first
            .put_entry(&key, living(harness, &key, 2, expires))
            .await;
        first.expect(&key, None, "stored when it had expired").await;
        let (lease, _) = second.granted(&key, Take::IfMissing).await;
        stored(second.fill(&key, lease, 3).await, &key);
        first
            .expect(&key, Some(3), "stored after an expired one")
            .await;
    }
}

/// The default lifetime is the same for every client, and finite where the store says so.
pub async fn the_default_life_is_as_declared<B: CacheBackend>(harness: &Harness<B>) {
    let default = harness.connect().default_ttl();
    if harness.has_finite_default_ttl() {
        let finite = default.is_some_and(|life| !life.is_zero() && life < DAY * 36_525);
        assert!(
            finite,
            "a default time to live of {default:?} where it is said to be finite"
        );
    }
    assert!(
        default == harness.connect().default_ttl(),
        "two clients with two default times to live"
    );
}
