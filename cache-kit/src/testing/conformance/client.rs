//! [`Client`]: a backend whose failures end the test with a clear message.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::{
    CacheBackend, Fence, Invalidated, LeaseId, LeaseRequest, Leased, Lookup, Stored, Take,
};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::error::Result;

use super::harness::Harness;
use super::specimen::{Specimen, specimen};

/// The lifetime of entries where it does not matter. Long enough for any run, and short enough to
/// clean up a shared server soon.
const LIFE: Duration = Duration::from_secs(600);

/// One client of the store under test. Its methods panic if the store does not do what it must.
pub(super) struct Client<'h, B> {
    pub(super) backend: B,
    pub(super) harness: &'h Harness<B>,
}

impl<B: CacheBackend> Harness<B> {
    pub(super) fn client(&self) -> Client<'_, B> {
        Client {
            backend: self.connect(),
            harness: self,
        }
    }

    pub(super) fn clients(&self) -> (Client<'_, B>, Client<'_, B>) {
        (self.client(), self.client())
    }

    /// An entry that stays fresh as long as any behaviour runs.
    pub(super) fn entry<T>(&self, value: T) -> Entry<T> {
        fresh(self.now(), Some(value))
    }

    pub(super) fn absence<T>(&self) -> Entry<T> {
        fresh(self.now(), None)
    }

    pub(super) fn request(&self, take: Take) -> LeaseRequest {
        request(take, self.now())
    }
}

pub(super) fn fresh<T>(now: Timestamp, value: Option<T>) -> Entry<T> {
    Entry {
        value: value.map(Arc::new),
        created: now,
        stale_from: now.after(LIFE / 2),
        expires: now.after(LIFE),
        load_millis: 3,
        pinned: false,
    }
}

pub(super) fn request(take: Take, now: Timestamp) -> LeaseRequest {
    LeaseRequest {
        id: LeaseId(fastrand::u64(..)),
        take,
        now,
    }
}

impl<B: CacheBackend> Client<'_, B> {
    /// Looks `key` up in every way.
    pub(super) async fn look<T: CacheEntity<Key = String>>(
        &self,
        key: &str,
        now: Timestamp,
    ) -> Lookup<T> {
        let at_hand = self
            .harness
            .typed(key, |key| self.backend.try_get::<T>(key, now));
        let found = no_error(self.backend.get::<T>(key, now).await, "get", key);
        match (at_hand, &found) {
            (Some(at_hand), Lookup::Miss { reason, .. }) => panic!(
                "{}: try_get has {at_hand:?} where get misses ({reason:?})",
                shown(key)
            ),
            (Some(at_hand), Lookup::Hit { entry, .. }) => {
                let stamps = |entry: &Entry<T>| (entry.created, entry.stale_from, entry.expires);
                assert!(
                    stamps(&at_hand) == stamps(entry),
                    "{}: try_get has {at_hand:?} where get has {entry:?}",
                    shown(key)
                );
            }
            (None, _) => {}
        }
        found
    }

    /// The entry at the present moment.
    pub(super) async fn entry<T: CacheEntity<Key = String>>(&self, key: &str) -> Option<Entry<T>> {
        self.entry_at(key, self.harness.now()).await
    }

    pub(super) async fn entry_at<T: CacheEntity<Key = String>>(
        &self,
        key: &str,
        now: Timestamp,
    ) -> Option<Entry<T>> {
        match self.look(key, now).await {
            Lookup::Hit { entry, .. } => Some(entry),
            Lookup::Miss { .. } => None,
        }
    }

    /// The version of the specimen under `key`.
    pub(super) async fn version(&self, key: &str) -> Option<u64> {
        self.entry(key).await.map(|entry| version_of(key, &entry))
    }

    /// Checks which version of the specimen is under `key`.
    pub(super) async fn expect(&self, key: &str, version: Option<u64>, when: &str) {
        let found = self.version(key).await;
        assert!(
            found == version,
            "{}: {when}, found version {found:?} instead of {version:?}",
            shown(key)
        );
    }

    /// The fence in a look-up's answer.
    pub(super) async fn fence(&self, key: &str) -> Option<Fence> {
        match self.look::<Specimen>(key, self.harness.now()).await {
            Lookup::Hit { fence, .. } | Lookup::Miss { fence, .. } => fence,
        }
    }

    pub(super) async fn lease<T: CacheEntity>(
        &self,
        key: &str,
        request: LeaseRequest,
    ) -> Leased<B::Lease> {
        no_error(self.backend.lease::<T>(key, request).await, "lease", key)
    }

    /// Takes a lease, which must be granted.
    pub(super) async fn granted(&self, key: &str, take: Take) -> (B::Lease, Fence) {
        let leased = self
            .lease::<Specimen>(key, self.harness.request(take))
            .await;
        lease_in(leased, key, take)
    }

    pub(super) async fn store<T: CacheEntity>(
        &self,
        key: &str,
        lease: B::Lease,
        entry: Entry<T>,
    ) -> Stored {
        let now = self.harness.now();
        no_error(
            self.backend.store(key, lease, entry, now).await,
            "store",
            key,
        )
    }

    /// Stores `version` under a lease that was taken before.
    pub(super) async fn fill(&self, key: &str, lease: B::Lease, version: u64) -> Stored {
        let entry = self.harness.entry(specimen(key, version));
        self.store(key, lease, entry).await
    }

    /// Stores an entry over whatever is there.
    pub(super) async fn put_entry<T: CacheEntity>(&self, key: &str, entry: Entry<T>) -> Stored {
        let request = self.harness.request(Take::Over);
        let (lease, _) = lease_in(self.lease::<T>(key, request).await, key, Take::Over);
        self.store(key, lease, entry).await
    }

    /// Stores `version` over whatever is there; it must go through.
    pub(super) async fn put(&self, key: &str, version: u64) {
        let entry = self.harness.entry(specimen(key, version));
        stored(self.put_entry(key, entry).await, key);
    }

    pub(super) async fn release(&self, key: &str, lease: B::Lease) {
        let released = self.backend.release::<Specimen>(key, lease).await;
        no_error(released, "release", key);
    }

    /// Invalidates; the store must acknowledge.
    pub(super) async fn invalidate(&self, key: &str) {
        let answer = self.backend.invalidate::<Specimen>(key).await;
        done(no_error(answer, "invalidate", key), key);
    }
}

/// The version of a specimen, which must belong to `key`.
pub(super) fn version_of(key: &str, entry: &Entry<Specimen>) -> u64 {
    let Some(value) = &entry.value else {
        panic!("{}: an absence where an entity was stored", shown(key));
    };
    assert!(
        value.key == key,
        "{}: answered with the value of {}",
        shown(key),
        shown(&value.key)
    );
    value.version
}

pub(super) fn no_error<T>(answer: Result<T>, command: &str, key: &str) -> T {
    match answer {
        Ok(answer) => answer,
        Err(error) => panic!("{}: {command} failed: {error:?}", shown(key)),
    }
}

pub(super) fn lease_in<L>(leased: Leased<L>, key: &str, take: Take) -> (L, Fence) {
    match leased {
        Leased::Granted { lease, fence } => (lease, fence),
        other => panic!(
            "{}: a lease {take:?} must be granted here, the answer was {}",
            shown(key),
            answer(&other)
        ),
    }
}

#[track_caller]
pub(super) fn stored(stored: Stored, key: &str) {
    let key = shown(key);
    assert!(
        stored == Stored::Stored,
        "{key}: {stored:?} instead of Stored"
    );
}

#[track_caller]
pub(super) fn fenced(stored: Stored, key: &str) {
    let key = shown(key);
    assert!(
        stored == Stored::Fenced,
        "{key}: {stored:?} instead of Fenced"
    );
}

#[track_caller]
pub(super) fn done(invalidated: Invalidated, key: &str) {
    let key = shown(key);
    assert!(
        invalidated == Invalidated::Done,
        "{key}: {invalidated:?} instead of Done; is the store reachable?"
    );
}

/// Shows an answer to a lease request, without the lease itself.
pub(super) fn answer<L>(leased: &Leased<L>) -> String {
    match leased {
        Leased::Granted { fence, .. } => format!("Granted under {fence}"),
        Leased::Found => "Found".to_owned(),
        Leased::Busy { fence } => format!("Busy with {fence}"),
        Leased::Writing => "Writing".to_owned(),
        Leased::NoRoom => "NoRoom".to_owned(),
        Leased::Pending => "Pending".to_owned(),
    }
}

/// A key for a message: escaped, and a long one cut in the middle.
pub(super) fn shown(key: &str) -> String {
    const END: usize = 40;
    let characters = key.chars().count();
    if characters <= 2 * END {
        return format!("{key:?}");
    }
    let start: String = key.chars().take(END).collect();
    let end: String = key.chars().skip(characters - END).collect();
    format!("{start:?}..{end:?} ({} bytes)", key.len())
}
