//! An address that moves to another server while connections to the old one stay open.

use std::time::{Duration, Instant};

use cache_kit::CacheStrategy::Refresh;
use cache_kit::backend::Invalidated;
use cache_kit_tests::servers::{Proxy, RedisServer};
use cache_kit_tests::{Gated, Row};

use super::{call, service_by_default};

/// How long it may take to find the new master. Some hundred milliseconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(20);

/// The old master lives on as a replica, answers every read, and refuses every invalidation. Only a
/// new connection reaches the new one.
#[tokio::test]
async fn an_old_master_that_became_a_replica_is_left() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let address = Proxy::in_front_of(old.addr());
    let database = Gated::open();
    database.set("k", 1);
    let here = service_by_default(&old.url_through(&address));
    let there = service_by_default(&new.url());
    call(&here, &database, "k", Refresh).await.unwrap();
    old.become_replica_of(&new);
    // In a real failover, the new master would have the data of the old one.
    call(&there, &database, "k", Refresh).await.unwrap();
    address.redirect(new.addr());

    database.set("k", 2);
    let begun = Instant::now();
    let mut done = here.invalidate::<Row>(&"k".to_owned()).await.unwrap();
    while done != Invalidated::Done {
        assert!(begun.elapsed() < LIMIT, "{:?}", here.backend().health());
        // Pending or not, this process never serves the old one.
        let (_, seen) = call(&here, &database, "k", Refresh).await.unwrap();
        assert_eq!(seen, Some(2));
        done = here.invalidate::<Row>(&"k".to_owned()).await.unwrap();
    }
    let (_, seen) = call(&there, &database, "k", Refresh).await.unwrap();
    assert_eq!(seen, Some(2), "the invalidation reached the new master");
    while !call(&here, &database, "k", Refresh)
        .await
        .unwrap()
        .0
        .is_hit()
    {
        assert!(begun.elapsed() < LIMIT, "{:?}", here.backend().health());
    }
}
