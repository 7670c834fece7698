//! What stands under a key and cannot be believed is a miss, and the next Refresh overwrites it.

use cache_kit::CacheStrategy::{Fresh, Refresh};
use cache_kit::Source;
use cache_kit::observability::StoreResult;
use cache_kit_tests::Gated;
use cache_kit_tests::servers::RedisServer;

use super::{Service, call, scene, service};

/// Plants `value` under `row:k`; it must be a miss for Fresh, and Refresh must replace it.
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
