//! A server that swallows everything, and callers that give up before the deadline of a command.

use std::time::Duration;

use cache_kit::CacheStrategy::{Bypass, Invalidate, Refresh};
use cache_kit_tests::Gated;
use cache_kit_tests::servers::{MemcachedServer, Proxy, Trick, eventually_async};

use super::peer::{Act, Peer};
use super::{PATIENCE, call, service, service_by_default};

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

/// A call goes away while its claim is on one connection, and there is a second connection by then.
/// The search for the claim's placeholder must not arrive before the claim.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_whose_caller_goes_away_leaves_nothing_behind_beside_other_connections() {
    for strategy in [Refresh, Invalidate] {
        let server = MemcachedServer::start();
        let proxy = Proxy::in_front_of_memcached(server.addr());
        let service = service(&server.url_through(&proxy));
        let database = Gated::open();
        for id in ["k", "first", "last"] {
            database.set(id, 1);
        }
        call(&service, &database, "first", Refresh).await.unwrap();
        let held = proxy.on_next(|command| command.name() == "MS", Trick::HoldCommand);
        let goes = {
            let (service, database) = (service.clone(), database.clone());
            tokio::spawn(async move { call(&service, &database, "k", strategy).await })
        };
        held.sprung().await;
        // Enough for a second connection; look-ups would be sent together.
        let mut many = tokio::task::JoinSet::new();
        for n in 0..100 {
            let (service, database) = (service.clone(), database.clone());
            many.spawn(async move {
                call(&service, &database, &n.to_string(), Bypass)
                    .await
                    .unwrap();
            });
        }
        eventually_async("there is another connection", PATIENCE, || {
            format!("{:?}", service.backend()).contains("open: 2")
        })
        .await;
        goes.abort();
        assert!(goes.await.is_err());
        // Behind everything that was sent on that connection.
        call(&service, &database, "last", Refresh).await.unwrap();
        held.deliver().await;
        while let Some(ended) = many.join_next().await {
            ended.unwrap();
        }
        eventually_async(
            "nothing stands under the key",
            Duration::from_secs(10),
            || server.value("row:k").is_none(),
        )
        .await;
    }
}
