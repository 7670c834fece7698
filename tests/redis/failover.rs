//! An address that moves to another server while connections to the old one stay open.

use std::time::{Duration, Instant};

use cache_kit::CacheService;
use cache_kit::CacheStrategy::Refresh;
use cache_kit::backend::{Invalidated, NodeRole, RedisBackend};
use cache_kit_tests::calls::serves_again;
use cache_kit_tests::servers::{Proxy, RedisServer};
use cache_kit_tests::{Gated, Row};

use super::{PATIENCE, Service, call, config, service_by_default};

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

/// A service with few calls would need minutes for the failures that open a breaker.
#[tokio::test]
async fn calls_leave_a_replica_without_the_breaker() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let address = Proxy::in_front_of(old.addr());
    let database = Gated::open();
    database.set("k", 1);
    let config = config(&old.url_through(&address)).set(|encoded| {
        encoded
            .with_operation_deadline(PATIENCE)
            .with_breaker_failures(u32::MAX)
    });
    let service: Service = CacheService::new(RedisBackend::new(config).unwrap());
    let role = || {
        service
            .backend()
            .health()
            .nodes
            .first()
            .map(|node| node.role)
    };
    old.become_replica_of(&new);
    // A store that is refused: nothing is queued, which would be tried again in the background.
    call(&service, &database, "k", Refresh).await.unwrap();
    assert_eq!(role(), Some(NodeRole::Replica));
    address.redirect(new.addr());
    serves_again::<RedisServer>(&service, &database, "k", 1).await;
    assert_eq!(role(), Some(NodeRole::Primary));
    let health = service.backend().health();
    assert!(
        health.available && health.last_error.is_none(),
        "{health:?}"
    );
}
