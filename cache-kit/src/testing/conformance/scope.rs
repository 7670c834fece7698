//! How far invalidations reach: over processes, and over types.

use crate::backend::{CacheBackend, Invalidated, Leased, Scope, Take};
use crate::entry::Entry;
use crate::error::Error;

use super::client::{Client, done, fenced, lease_in, no_error, shown, stored};
use super::harness::Harness;
use super::specimen::Rival;

/// A value that another process has read is not returned there once an acknowledgement has reached
/// it: at once, or after the bound that the backend declares.
pub async fn an_acknowledgement_reaches_as_far_as_declared<B: CacheBackend>(harness: &Harness<B>) {
    let here = harness.client();
    let there = Client {
        backend: harness.elsewhere(),
        harness,
    };
    assert!(
        here.backend.scope() == harness.scope(),
        "the backend says {:?}, and the harness {:?}",
        here.backend.scope(),
        harness.scope()
    );
    let invalidated = harness.key("invalidated");
    let leased = harness.key("leased");
    for key in [&invalidated, &leased] {
        here.put(key, 1).await;
        there
            .expect(key, Some(1), "stored by another process")
            .await;
        // The second look-up finds a tier of its own filled, if there is one.
        there.expect(key, Some(1), "looked up before").await;
    }

    here.invalidate(&invalidated).await;
    let (lease, _) = here.granted(&leased, Take::Invalidating).await;
    for key in [&invalidated, &leased] {
        here.expect(key, None, "invalidated").await;
    }
    if let Scope::ThisProcess { others_within } = harness.scope() {
        harness.pass(others_within).await;
    }
    for key in [&invalidated, &leased] {
        let when = "invalidated in another process, beyond its bound";
        there.expect(key, None, when).await;
    }
    stored(here.fill(&leased, lease, 2).await, &leased);
    there
        .expect(&leased, Some(2), "stored anew by another process")
        .await;
}

/// An invalidation by text drops the entries of all types under a key and makes every lease on it
/// worthless. A backend that cannot do this says so.
pub async fn an_invalidation_by_text_reaches_every_type<B: CacheBackend>(harness: &Harness<B>) {
    let (first, second) = harness.clients();
    let key = harness.key("text");
    if !harness.has_invalidation_by_text() {
        let answer = first.backend.invalidate_text(&key).await;
        let refused = matches!(answer, Err(Error::ConfigError(_)));
        assert!(refused, "{}: {answer:?} instead of an error", shown(&key));
        return;
    }
    let rival = harness.entry(Rival {
        key: key.clone(),
        version: 1,
        payload: String::new(),
    });
    first.put(&key, 1).await;
    // It may displace the other type's entry.
    stored(first.put_entry(&key, rival.clone()).await, &key);
    by_text(&first, &key).await;
    for client in [&first, &second] {
        client.expect(&key, None, "invalidated by text").await;
        let found: Option<Entry<Rival>> = client.entry(&key).await;
        assert!(
            found.is_none(),
            "{}: another type is still there after an invalidation by text",
            shown(&key)
        );
    }

    let key = harness.key("text of a lease");
    let request = harness.request(Take::Over);
    let (of_rival, _) = lease_in(second.lease::<Rival>(&key, request).await, &key, Take::Over);
    by_text(&first, &key).await;
    fenced(second.store(&key, of_rival, rival).await, &key);
    let (lease, _) = second.granted(&key, Take::IfMissing).await;
    by_text(&first, &key).await;
    fenced(second.fill(&key, lease, 1).await, &key);

    // An unused key may be invalidated.
    let unused = harness.key("unused");
    by_text(&first, &unused).await;
    let leased = second
        .backend
        .lease::<Rival>(&unused, harness.request(Take::IfMissing))
        .await;
    let leased = no_error(leased, "lease", &unused);
    let free = matches!(leased, Leased::Granted { .. });
    assert!(
        free,
        "{}: not free after an invalidation by text",
        shown(&unused)
    );
}

async fn by_text<B: CacheBackend>(client: &Client<'_, B>, key: &str) {
    let answer = client.backend.invalidate_text(key).await;
    done(no_error::<Invalidated>(answer, "invalidate_text", key), key);
}
