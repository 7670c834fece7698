//! A key is just text, and answers for one type in one schema.

use crate::backend::{CacheBackend, Take};
use crate::entry::Entry;

use super::client::{lease_in, shown, stored};
use super::harness::Harness;
use super::specimen::{Revised, Rival, Specimen};

/// Keys that are special in some protocol work as any others: each holds its own value, alone and
/// in a batch, and can be invalidated without touching another.
pub async fn hostile_keys_are_only_keys<B: CacheBackend>(harness: &Harness<B>) {
    let base = harness.key("");
    let long = "k".repeat(10_000);
    let endings = [
        "",
        " ",
        "  ",
        "a",
        " a",
        "a ",
        "A",
        "a b",
        "a\tb",
        "a\r\nb",
        "a\r\nget b\r\n",
        "\r\n",
        "\n",
        "\0",
        "\0\0",
        "a\0b",
        "a:b",
        "a::b",
        ":",
        "*",
        "a*",
        "?",
        "[ab]",
        "{a}",
        "{a}b",
        "{}",
        "a/../b",
        "%20",
        "%",
        "\\",
        "\"",
        "'",
        "é",
        // The same letter, composed of two.
        "e\u{301}",
        "\u{1F980}",
        "\u{1F980}\u{1F980}",
        "\u{202E}",
        "\u{FEFF}",
        "\u{7F}",
        &long,
    ];
    let keys: Vec<String> = endings.iter().map(|end| format!("{base}{end}")).collect();
    each_for_itself(harness, &keys).await;
}

/// Long keys are distinguished by what comes after their first 250 bytes, and from the key that is
/// their prefix.
pub async fn long_keys_with_one_beginning_are_told_apart<B: CacheBackend>(harness: &Harness<B>) {
    let base = harness.key("");
    let fill = |bytes: usize| "x".repeat(bytes.saturating_sub(base.len()));
    let beginning = format!("{base}{}", fill(250));
    let mut keys: Vec<String> = (245..=255)
        .filter(|length| *length > base.len() && *length != 250)
        .map(|length| format!("{base}{}", fill(length)))
        .collect();
    keys.extend(
        ["", "a", "b", "aa", " a", "a ", "\u{1F980}"].map(|end| format!("{beginning}{end}x")),
    );
    keys.extend(["a", "b"].map(|end| format!("{beginning}{}{end}", "y".repeat(10_000))));
    // 250 characters of more than one byte each.
    keys.extend(["é", "e\u{301}"].map(|letter| format!("{base}{}", letter.repeat(250))));
    keys.sort();
    keys.dedup();
    each_for_itself(harness, &keys).await;
}

async fn each_for_itself<B: CacheBackend>(harness: &Harness<B>, keys: &[String]) {
    let (first, second) = harness.clients();
    for (key, version) in keys.iter().zip(1..) {
        first.expect(key, None, "before it was ever stored").await;
        let (lease, _) = first.granted(key, Take::IfMissing).await;
        stored(first.fill(key, lease, version).await, key);
    }
    for (key, version) in keys.iter().zip(1..) {
        second
            .expect(key, Some(version), "stored among others")
            .await;
    }
    let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found = second
        .backend
        .get_many::<Specimen>(&texts, harness.now())
        .await;
    super::batches::expect_versions(&texts, found, |at| Some(at as u64 + 1));
    for gone in 0..keys.len() {
        first.invalidate(&keys[gone]).await;
        second.expect(&keys[gone], None, "invalidated").await;
        if let Some(next) = keys.get(gone + 1) {
            let version = gone as u64 + 2;
            second
                .expect(next, Some(version), "another key was invalidated")
                .await;
        }
    }
}

/// Entries of two types never answer for each other under one key, absences included. A store may
/// or may not let one displace the other.
pub async fn two_types_under_one_key_never_mix<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    let key = harness.key("types");
    let rival = Rival {
        key: key.clone(),
        version: 2,
        payload: String::new(),
    };

    first.put(&key, 1).await;
    for client in [&first, &second] {
        let found: Option<Entry<Rival>> = client.entry(&key).await;
        assert!(
            found.is_none(),
            "{}: answered for another type",
            shown(&key)
        );
    }
    // An entry of another type counts as nothing, so the lease must be granted.
    let leased = first
        .lease::<Rival>(&key, harness.request(Take::IfMissing))
        .await;
    let (lease, _) = lease_in(leased, &key, Take::IfMissing);
    let entry = harness.entry(rival.clone());
    stored(first.store(&key, lease, entry).await, &key);
    let found = second
        .entry::<Rival>(&key)
        .await
        .and_then(|entry| entry.value);
    assert!(
        found.as_deref() == Some(&rival),
        "{}: {found:?} instead of {rival:?}",
        shown(&key)
    );
    let other = second.version(&key).await;
    assert!(
        matches!(other, None | Some(1)),
        "{}: a value of another type, version {other:?}",
        shown(&key)
    );

    let key = harness.key("types-absent");
    let absence = harness.absence::<Specimen>();
    stored(first.put_entry(&key, absence).await, &key);
    let found: Option<Entry<Rival>> = second.entry(&key).await;
    assert!(
        found.is_none(),
        "{}: the absence of another type is answered",
        shown(&key)
    );
}

/// An entry of another schema is a miss, does not prevent a lease with [`Take::IfMissing`], and is
/// overwritten by the next store.
pub async fn another_schema_is_a_miss_and_overwritten<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    let key = harness.key("schema");
    let older = Revised::<1> {
        key: key.clone(),
        version: 1,
    };
    let newer = Revised::<2> {
        key: key.clone(),
        version: 2,
    };
    let entry = harness.entry(older.clone());
    stored(first.put_entry(&key, entry).await, &key);
    let found: Option<Entry<Revised<2>>> = second.entry(&key).await;
    assert!(
        found.is_none(),
        "{}: {found:?} of another schema",
        shown(&key)
    );

    let leased = second
        .lease::<Revised<2>>(&key, harness.request(Take::IfMissing))
        .await;
    let (lease, _) = lease_in(leased, &key, Take::IfMissing);
    let entry = harness.entry(newer.clone());
    stored(second.store(&key, lease, entry).await, &key);
    let found = first
        .entry::<Revised<2>>(&key)
        .await
        .and_then(|entry| entry.value);
    assert!(
        found.as_deref() == Some(&newer),
        "{}: {found:?} instead of {newer:?}",
        shown(&key)
    );
    let found = first
        .entry::<Revised<1>>(&key)
        .await
        .and_then(|entry| entry.value);
    assert!(
        found.as_deref().is_none_or(|found| *found == older),
        "{}: {found:?} of another schema",
        shown(&key)
    );
}
