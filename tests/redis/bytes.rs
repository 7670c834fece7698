//! An untrustworthy value under a key is a miss, and the next Refresh overwrites it.

use std::sync::{Arc, Mutex};

use cache_kit::CacheStrategy::{Fresh, Refresh};
use cache_kit::backend::{MissReason, RedisBackend};
use cache_kit::observability::{CacheEvent, CacheMetrics, StoreResult};
use cache_kit::{CacheEntity, CacheExpander, SharedFeeder, Source, repository};
use cache_kit_tests::Gated;
use cache_kit_tests::servers::RedisServer;

use super::{PATIENCE, Service, call, config, scene, service};

/// Puts `value` under `row:k`; it must be a miss for Fresh, and Refresh must replace it.
async fn is_overwritten(server: &RedisServer, service: &Service, database: &Gated, value: &[u8]) {
    let planted = server.command(&[b"SET".as_slice(), b"row:k", value]);
    assert!(planted.is_ok());
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
    assert!(
        call(service, database, "k", Fresh)
            .await
            .unwrap()
            .0
            .is_hit()
    );
}

fn stored(server: &RedisServer, key: &str) -> Vec<u8> {
    server.command(&["GET", key]).bytes().unwrap().to_vec()
}

#[tokio::test]
async fn every_flipped_bit_and_every_cut_is_a_miss_that_is_overwritten() {
    let (server, database) = scene();
    let service = service(&server.url());
    call(&service, &database, "k", Refresh).await.unwrap();
    let whole = stored(&server, "row:k");
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

#[tokio::test]
async fn garbage_and_the_entries_of_other_keys_are_misses() {
    let (server, database) = scene();
    let service = service(&server.url());
    database.set("other", 9);
    call(&service, &database, "other", Refresh).await.unwrap();
    is_overwritten(&server, &service, &database, &stored(&server, "row:other")).await;
    for length in [0, 1, 5, 40, 400] {
        for byte in [0, b'x', 0xFF] {
            is_overwritten(&server, &service, &database, &vec![byte; length]).await;
        }
    }
    server.command(&["DEL", "row:k"]);
    server.command(&["LPUSH", "row:k", "a", "b"]);
    let (outcome, seen) = call(&service, &database, "k", Refresh).await.unwrap();
    assert_eq!(
        (outcome.store(), seen),
        (StoreResult::Stored, Some(1)),
        "a list was there"
    );
    assert!(
        call(&service, &database, "k", Fresh)
            .await
            .unwrap()
            .0
            .is_hit()
    );
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
    pub(super) fn seen(&self) -> Vec<(String, MissReason)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// The type that another version of the program keeps under the keys of a `Row`.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct NewerRow {
    pub(super) id: String,
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

#[tokio::test]
async fn what_is_discarded_is_told_once_and_why() {
    let (server, database) = scene();
    let config = config(&server.url()).set(|encoded| encoded.with_operation_deadline(PATIENCE));
    let discards = Discards::default();
    let service: Service = CacheExpander::new(RedisBackend::new(config).unwrap())
        .with_metrics(Box::new(discards.clone()))
        .into();
    let told = |reason| vec![("row:k".to_owned(), reason)];

    call(&service, &database, "k", Fresh).await.unwrap();
    assert_eq!(discards.seen(), [], "nothing was there");

    server.command(&["SET", "row:k", "garbage"]);
    call(&service, &database, "k", Refresh).await.unwrap();
    assert_eq!(discards.seen(), told(MissReason::Damaged));
    call(&service, &database, "k", Refresh).await.unwrap();
    assert_eq!(discards.seen(), [], "it was overwritten");

    let newer = repository::from_fn(|id: &String| {
        let id = id.clone();
        async move { Ok(Some(NewerRow { id })) }
    });
    // In another process: one service refuses a second type under a prefix.
    let other = super::service(&server.url());
    let mut feeder = SharedFeeder::<NewerRow>::new("k".to_owned());
    other.execute(&mut feeder, &newer, Refresh).await.unwrap();
    call(&service, &database, "k", Fresh).await.unwrap();
    assert_eq!(discards.seen(), told(MissReason::OtherSchema));
}
