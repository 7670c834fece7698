//! A key of another type than a string is a miss, and the next Refresh overwrites it.

use cache_kit::CacheStrategy::Refresh;
use cache_kit::observability::StoreResult;
use cache_kit_tests::calls::is_hit;

use super::{call, scene, service};

#[tokio::test]
async fn a_list_under_the_key_is_overwritten() {
    let (server, database) = scene();
    let service = service(&server.url());
    server.command(&["LPUSH", "row:k", "a", "b"]);
    assert!(!is_hit(&service, &database, "k").await);
    let (outcome, seen) = call(&service, &database, "k", Refresh).await.unwrap();
    assert_eq!((outcome.store(), seen), (StoreResult::Stored, Some(1)));
    assert!(is_hit(&service, &database, "k").await);
}
