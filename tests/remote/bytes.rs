//! An untrustworthy value under a key is a miss, and the next Refresh overwrites it.

use std::sync::{Arc, Mutex};

use cache_kit::CacheStrategy::{self, Fresh, Refresh};
use cache_kit::backend::MissReason;
use cache_kit::observability::{CacheEvent, CacheMetrics, StoreResult};
use cache_kit::{CacheEntity, CacheExpander, CacheService, SharedFeeder, Source, repository};
use cache_kit_tests::Gated;
use cache_kit_tests::calls::{call, is_hit, scene, service};
use cache_kit_tests::servers::Server;

/// Puts `value` under `row:k`; it must be a miss for Fresh, and Refresh must replace it.
async fn is_overwritten<S: Server>(
    server: &S,
    service: &CacheService<S::Backend>,
    database: &Gated,
    value: &[u8],
) {
    server.put("row:k", value);
    let (outcome, seen) = call(service, database, "k", Fresh).await.unwrap();
    assert_eq!(
        (outcome.source(), seen),
        (Source::Nothing, None),
        "{value:02x?}"
    );
    let (outcome, seen) = call(service, database, "k", Refresh).await.unwrap();
    assert_eq!(
        (outcome.source(), outcome.store(), seen),
        (Source::Repository, StoreResult::Stored, Some(1)),
        "{value:02x?}"
    );
    assert!(is_hit(service, database, "k").await);
}

pub async fn every_flipped_bit_and_every_cut_is_a_miss_that_is_overwritten<S: Server>() {
    let (server, database) = scene::<S>();
    let service = service::<S>(&server.url());
    call(&service, &database, "k", Refresh).await.unwrap();
    let whole = server.value("row:k").unwrap();
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        is_overwritten(&server, &service, &database, &damaged).await;
    }
    for length in 0..whole.len() {
        is_overwritten(&server, &service, &database, &whole[..length]).await;
    }
    let mut longer = whole.clone();
    longer.push(0);
    is_overwritten(&server, &service, &database, &longer).await;
}

pub async fn garbage_and_the_entries_of_other_keys_are_misses<S: Server>() {
    let (server, database) = scene::<S>();
    let service = service::<S>(&server.url());
    database.set("other", 9);
    call(&service, &database, "other", Refresh).await.unwrap();
    let other = server.value("row:other").unwrap();
    is_overwritten(&server, &service, &database, &other).await;
    for length in [0, 1, 5, 40, 400] {
        for byte in [0, b'x', 0xFF] {
            is_overwritten(&server, &service, &database, &vec![byte; length]).await;
        }
    }
}

/// Records what is discarded.
#[derive(Clone, Default)]
pub(super) struct Discards(Arc<Mutex<Vec<(String, MissReason)>>>);

impl CacheMetrics for Discards {
    fn record_event(&self, key: &str, event: &CacheEvent) {
        if let CacheEvent::Discarded { reason } = event {
            self.0.lock().unwrap().push((key.to_owned(), *reason));
        }
    }
}

impl Discards {
    /// A service whose discards are recorded here.
    pub(super) fn of<S: Server>(&self, server: &S) -> CacheService<S::Backend> {
        let backend = S::patient_backend(&server.url(), |encoded| encoded);
        CacheExpander::new(backend.unwrap())
            .with_metrics(Box::new(self.clone()))
            .into()
    }

    pub(super) fn seen(&self) -> Vec<(String, MissReason)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// The type that another version of the program keeps under the keys of a `Row`.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct NewerRow {
    id: String,
}

impl CacheEntity for NewerRow {
    type Key = String;

    fn cache_key(&self) -> String {
        self.id.clone()
    }

    fn cache_prefix() -> &'static str {
        "row"
    }

    fn cache_schema() -> u64 {
        2
    }
}

/// Puts an entry of the newer type under the key of row `id`.
pub(super) async fn put_newer<S: Server>(server: &S, id: &str, strategy: CacheStrategy) {
    let newer = repository::from_fn(|id: &String| {
        let id = id.clone();
        async move { Ok(Some(NewerRow { id })) }
    });
    // In another process: one service refuses a second type under a prefix.
    let other = service::<S>(&server.url());
    let mut feeder = SharedFeeder::<NewerRow>::new(id.to_owned());
    let outcome = other.execute(&mut feeder, &newer, strategy).await.unwrap();
    assert_eq!(outcome.store(), StoreResult::Stored);
}

pub async fn what_is_discarded_is_told_once_and_why<S: Server>() {
    let (server, database) = scene::<S>();
    let discards = Discards::default();
    let service = discards.of::<S>(&server);
    let told = |reason| vec![("row:k".to_owned(), reason)];

    call(&service, &database, "k", Fresh).await.unwrap();
    assert_eq!(discards.seen(), [], "nothing was there");

    server.put("row:k", b"garbage");
    call(&service, &database, "k", Refresh).await.unwrap();
    assert_eq!(discards.seen(), told(MissReason::Damaged));
    call(&service, &database, "k", Refresh).await.unwrap();
    assert_eq!(discards.seen(), [], "it was overwritten");

    put_newer(&server, "k", Refresh).await;
    call(&service, &database, "k", Fresh).await.unwrap();
    assert_eq!(discards.seen(), told(MissReason::OtherSchema));
}
