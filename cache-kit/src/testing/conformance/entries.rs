//! Every entry comes back as it was stored.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::{CacheBackend, Leased, Stored, Take};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::Entry;

use super::client::{Client, fenced, lease_in, no_error, shown, stored};
use super::harness::Harness;
use super::specimen::{Lenient, Specimen, Unreadable, Unwritable, heavy, specimen};

/// An entry comes back with its value and all of its stamps, to the millisecond, for every client.
pub async fn entries_come_back_with_all_stamps<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    let now = harness.now();
    let hour = Duration::from_secs(3_600);
    // An odd millisecond, so that no coarser unit can carry it.
    let odd = Timestamp::from_millis(now.as_millis() / 1_000 * 1_000 + 777);
    let stamps = [
        (odd, odd.after(hour), odd.after(hour * 2), 0),
        (odd, odd.after(hour), odd.after(hour), 1),
        (odd, Timestamp::NEVER, odd.after(hour), 12_345),
        (odd, odd, odd.after(hour), u32::MAX),
        // From a caller whose clock is ahead, and from one whose clock is far behind.
        (odd.after(hour), odd.after(hour), odd.after(hour * 2), 7),
        (
            Timestamp::from_millis(1),
            odd.after(hour),
            odd.after(hour),
            7,
        ),
    ];
    for (version, (created, stale_from, expires, load_millis)) in (1..).zip(stamps) {
        let pinned = version % 2 == 0;
        let key = harness.key("stamps");
        let value = specimen(&key, version);
        let entry = Entry {
            value: Some(Arc::new(value)),
            created,
            stale_from,
            expires,
            load_millis,
            pinned,
        };
        stored(first.put_entry(&key, entry.clone()).await, &key);
        for client in [&first, &second] {
            same(client, &key, &entry).await;
        }
    }
}

/// A known absence is an entry like any other, and takes the place of one.
pub async fn absences_come_back<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    let key = harness.key("absence");
    let absence = harness.absence::<Specimen>();
    stored(first.put_entry(&key, absence.clone()).await, &key);
    for client in [&first, &second] {
        same(client, &key, &absence).await;
    }
    first.put(&key, 2).await;
    second.expect(&key, Some(2), "stored over an absence").await;
    stored(second.put_entry(&key, absence.clone()).await, &key);
    same(&first, &key, &absence).await;
    first.invalidate(&key).await;
    assert!(
        second.entry::<Specimen>(&key).await.is_none(),
        "{}: an absence outlives its invalidation",
        shown(&key)
    );
}

/// An entry that has expired when it is stored, such as the absence of a row without a time to live
/// for absences, is not kept and removes what its lease was taken over. Every other lease on that is
/// worthless from then on. Under a worthless lease it removes nothing.
pub async fn an_expired_entry_removes_what_its_lease_was_over<B: CacheBackend>(
    harness: &Harness<B>,
) {
    let (first, second) = harness.clients();
    let millisecond = Duration::from_millis(1);
    for (version, late_by) in [(None, Duration::ZERO), (Some(9), millisecond)] {
        let expire = async |client: &Client<'_, B>, key: &str, lease| {
            let expires = harness.now();
            let entry = Entry {
                value: version.map(|version| Arc::new(specimen(key, version))),
                created: expires,
                stale_from: expires,
                expires,
                load_millis: 3,
                pinned: false,
            };
            let now = expires.after(late_by);
            // Which answer it is does not matter.
            let answer = client.backend.store(key, lease, entry, now).await;
            no_error(answer, "store", key);
        };

        let key = harness.key("expired-over");
        first.put(&key, 1).await;
        for client in [&first, &second] {
            client.expect(&key, Some(1), "stored").await;
        }
        let (late, _) = second.granted(&key, Take::Over).await;
        let (lease, _) = first.granted(&key, Take::Over).await;
        expire(&first, &key, lease).await;
        for client in [&first, &second] {
            // At the second moment nothing has expired: what is found then was kept.
            for at in [harness.now(), Timestamp::from_millis(0)] {
                let found: Option<Entry<Specimen>> = client.entry_at(&key, at).await;
                assert!(
                    found.is_none(),
                    "{}: {found:?} is there after the store of an expired entry",
                    shown(&key)
                );
            }
        }
        fenced(second.fill(&key, late, 2).await, &key);
        for client in [&first, &second] {
            client
                .expect(&key, None, "a late store over what was removed")
                .await;
        }
        let (lease, _) = second.granted(&key, Take::IfMissing).await;
        stored(second.fill(&key, lease, 3).await, &key);
        first
            .expect(&key, Some(3), "stored after an expired entry")
            .await;

        for invalidated in [true, false] {
            let key = harness.key("expired-late");
            first.put(&key, 1).await;
            let (late, _) = first.granted(&key, Take::Over).await;
            if invalidated {
                second.invalidate(&key).await;
            }
            second.put(&key, 2).await;
            expire(&first, &key, late).await;
            for client in [&first, &second] {
                client
                    .expect(&key, Some(2), "an expired entry under a worthless lease")
                    .await;
            }
        }
    }
}

/// Empty values, and values with all kinds of text.
pub async fn empty_and_odd_values_come_back<B: CacheBackend>(harness: &Harness<B>) {
    let client = harness.client();
    for payload in [
        "",
        " ",
        "\0",
        "\r\n",
        "END\r\n",
        "\u{1F980} Kräm",
        "\u{10FFFF}",
    ] {
        let key = harness.key("value");
        let entry = harness.entry(Specimen {
            payload: payload.to_owned(),
            ..specimen(&key, u64::MAX)
        });
        stored(client.put_entry(&key, entry.clone()).await, &key);
        same(&client, &key, &entry).await;
    }
    let key = harness.key("nameless");
    let entry = harness.entry(specimen("", 0));
    stored(client.put_entry(&key, entry.clone()).await, &key);
    same(&client, &key, &entry).await;
}

/// Values of up to 1 MiB come back, or are [`Stored::TooLarge`]; then the key is empty, without any
/// part of them and without an older entry. Above the harness' limit they must be refused.
pub async fn large_values_come_back_or_are_refused<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    let limit = harness.limit();
    let sizes = [1_000, 4_096, 65_536, 300_000, 1 << 20];
    let edges = limit.map(|limit| [limit / 2, limit + 1]);
    for bytes in sizes.into_iter().chain(edges.into_iter().flatten()) {
        let key = harness.key("large");
        first.put(&key, 1).await;
        let entry = harness.entry(heavy(&key, 2, bytes));
        match first.put_entry(&key, entry.clone()).await {
            Stored::Stored => {
                let taken = limit.is_none_or(|limit| bytes <= limit);
                assert!(
                    taken,
                    "a payload of {bytes} bytes was stored past the limit"
                );
                same(&second, &key, &entry).await;
            }
            Stored::TooLarge => {
                let refused = limit.is_some_and(|limit| bytes > limit / 2);
                assert!(refused, "a payload of {bytes} bytes was refused");
                first.expect(&key, None, "refused as too large").await;
                second.expect(&key, None, "refused as too large").await;
                let (lease, _) = first.granted(&key, Take::IfMissing).await;
                stored(first.fill(&key, lease, 3).await, &key);
            }
            Stored::Fenced => panic!("{}: fenced, and nobody was there", shown(&key)),
        }
        first.invalidate(&key).await;
    }
}

/// An entity that serde cannot write is an error, or is stored where nothing is serialized. It
/// affects nothing else, and its key stays usable.
pub async fn what_cannot_be_encoded_spoils_only_itself<B: CacheBackend>(harness: &Harness<B>) {
    let client = harness.client();
    let keys = [1, 0, 3].map(|version| (harness.key("unwritable"), version));
    let mut batch = Vec::new();
    for (key, version) in &keys {
        let (lease, _) = lease_in(
            client
                .lease::<Unwritable>(key, harness.request(Take::IfMissing))
                .await,
            key,
            Take::IfMissing,
        );
        let value = Unwritable {
            key: key.clone(),
            version: *version,
        };
        batch.push((key.as_str(), lease, harness.entry(value)));
    }
    let answers = client.backend.store_many(batch, harness.now()).await;
    assert_eq!(answers.len(), keys.len(), "an answer for each");
    for (answer, (key, version)) in answers.into_iter().zip(&keys) {
        if *version != 0 {
            stored(no_error(answer, "store", key), key);
        }
        let found: Option<Entry<Unwritable>> = client.entry(key).await;
        let right = found.as_ref().is_none_or(|found| {
            found
                .value
                .as_ref()
                .is_some_and(|value| value.version == *version)
        });
        assert!(right, "{}: not what was stored", shown(key));
        assert!(
            *version == 0 || found.is_some(),
            "{}: spoilt by its neighbour",
            shown(key)
        );
        let value = Unwritable {
            key: key.clone(),
            version: 9,
        };
        let again = client.put_entry(key, harness.entry(value)).await;
        stored(again, key);
    }
}

/// An entry that its type does not accept is a miss and no error, alone and in a batch, and the
/// next store overwrites it. A store that decodes nothing may serve it. A store that reads only
/// heads may answer [`Leased::Found`] for it.
pub async fn what_cannot_be_decoded_is_a_miss<B: CacheBackend>(harness: &Harness<B>) {
    let client = harness.client();
    let keys = [1, 0, 3].map(|version| (harness.key("unreadable"), version));
    let value = |key: &str, version| Unreadable {
        key: key.to_owned(),
        version,
    };
    for (key, version) in &keys {
        // A store may prove that a value can be read back, so this build cannot write it.
        let put = if *version == 0 {
            let row = Lenient {
                key: key.clone(),
                version: 0,
            };
            client.put_entry(key, harness.entry(row)).await
        } else {
            let row = value(key, *version);
            client.put_entry(key, harness.entry(row)).await
        };
        stored(put, key);
    }
    let texts: Vec<&str> = keys.iter().map(|(key, _)| key.as_str()).collect();
    let found = client
        .backend
        .get_many::<Unreadable>(&texts, harness.now())
        .await;
    assert_eq!(found.len(), keys.len(), "an answer for each");
    for (found, (key, version)) in found.into_iter().zip(&keys) {
        no_error(found, "get_many", key);
        let alone: Option<Entry<Unreadable>> = client.entry(key).await;
        assert!(
            alone.is_some() || *version == 0,
            "{}: spoilt by its neighbour",
            shown(key)
        );
        if alone.is_none() {
            let leased = client
                .lease::<Unreadable>(key, harness.request(Take::IfMissing))
                .await;
            let lease = match leased {
                // A store that reads only heads takes it for an entry.
                Leased::Found => {
                    let request = harness.request(Take::Over);
                    client.lease::<Unreadable>(key, request).await
                }
                leased => leased,
            };
            let (lease, _) = lease_in(lease, key, Take::Over);
            let entry = harness.entry(value(key, 5));
            stored(client.store(key, lease, entry.clone()).await, key);
            same(&client, key, &entry).await;
        }
    }
}

/// Checks that `key` holds what `wanted` is.
async fn same<B, T>(client: &Client<'_, B>, key: &str, wanted: &Entry<T>)
where
    B: CacheBackend,
    T: CacheEntity<Key = String> + PartialEq,
{
    let now = client.harness.now();
    let Some(found) = client.entry_at::<T>(key, now).await else {
        panic!("{}: a miss right after the store", shown(key));
    };
    let stamps = |entry: &Entry<T>| {
        (
            entry.created,
            entry.stale_from,
            entry.expires,
            entry.load_millis,
            entry.pinned,
        )
    };
    assert!(
        stamps(&found) == stamps(wanted),
        "{}: came back as {found:?} instead of {wanted:?}",
        shown(key)
    );
    assert!(found.value == wanted.value, "{}: another value", shown(key));
}
