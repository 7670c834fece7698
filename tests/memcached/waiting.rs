//! A server that swallows everything, and callers with less patience than a command has time.

use std::time::Duration;

use cache_kit::CacheStrategy::Refresh;
use cache_kit_tests::Gated;
use cache_kit_tests::servers::{MemcachedServer, eventually_async};

use super::peer::{Act, Peer};
use super::{PATIENCE, call, is_hit, service_by_default};

#[tokio::test]
async fn a_black_hole_and_impatient_callers_open_the_breaker_and_the_next_ones_load() {
    let peer = Peer::start(|_, _| Act::Silence).await;
    let database = Gated::open();
    database.set("k", 1);
    let service = service_by_default(&peer.url());
    let begun = std::time::Instant::now();
    loop {
        let patience = Duration::from_millis(100);
        let call = call(&service, &database, "k", Refresh);
        if let Ok(answer) = tokio::time::timeout(patience, call).await {
            assert_eq!(answer.unwrap().1, Some(1));
            break;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{:?}",
            service.backend().health()
        );
    }
    assert!(!service.backend().health().available);
}

#[tokio::test]
async fn a_server_that_stops_and_goes_on_is_used_again_whatever_the_patience_of_callers() {
    let server = MemcachedServer::start();
    let database = Gated::open();
    database.set("k", 1);
    let service = service_by_default(&server.url());
    call(&service, &database, "k", Refresh).await.unwrap();
    server.stop();
    let patience = Duration::from_millis(100);
    for _ in 0..20 {
        let call = call(&service, &database, "k", Refresh);
        let _ = tokio::time::timeout(patience, call).await;
    }
    eventually_async("the breaker is open", PATIENCE, || {
        !service.backend().health().available
    })
    .await;
    server.cont();
    eventually_async("the breaker is closed", PATIENCE, || {
        service.backend().health().available
    })
    .await;
    call(&service, &database, "k", Refresh).await.unwrap();
    assert!(is_hit(&service, &database, "k").await);
}
