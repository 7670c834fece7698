//! The routes over two real memcached servers, one of which dies and comes back.

use std::time::Duration;

use axum::http::StatusCode;
use cache_kit_tests::servers::MemcachedServer;
use serde_json::{Value, json};

use super::{serve_from, statements, x_cache};
use crate::answer::X_CACHE_DEGRADED;
use crate::database::Location;
use crate::tour::{Client, Reply};

const AIRPORTS: [&str; 8] = [
    "EDDF", "EGLL", "LFPG", "KJFK", "RJTT", "YSSY", "SBGR", "FAOR",
];

fn is_degraded(reply: &Reply) -> bool {
    reply.headers.contains_key(X_CACHE_DEGRADED)
}

async fn health(client: &mut Client) -> Value {
    let healthz = client.get("/healthz").await.unwrap();
    assert_eq!(healthz.status, StatusCode::OK);
    healthz.json().unwrap()["cache"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_share_two_servers_and_one_of_these_dies_and_comes_back() {
    let servers = [MemcachedServer::start(), MemcachedServer::start()];
    let url = MemcachedServer::url_of(&servers);
    let directory = tempfile::tempdir().unwrap();
    let file = Location::File(directory.path().join("airports.sqlite"));
    let (a, mut at_a) = serve_from(&file, &url).await;
    let (b, mut at_b) = serve_from(&file, &url).await;
    for icao in AIRPORTS {
        let loaded = at_a.airport(icao, false).await.unwrap();
        let hit = at_b.airport(icao, false).await.unwrap();
        assert_eq!((x_cache(&loaded), x_cache(&hit)), ("loaded", "hit"));
        assert_eq!(loaded.body, hit.body);
    }
    assert_eq!(statements(&b).reads, 0);
    let expected = json!({
        "kind": "memcached",
        "available": true,
        "pending_invalidations": 0,
        "last_error": null,
        "nodes": servers.each_ref().map(|server| json!({
            "name": server.name(),
            "role": "primary",
            "available": true,
            "pending_invalidations": 0,
        })),
    });
    assert_eq!(health(&mut at_a).await, expected);

    servers[0].kill();
    let mut waiting = 0;
    for icao in AIRPORTS {
        let change = json!({ "name": "Changed" });
        let changed = at_a.change(icao, &change).await.unwrap();
        assert_eq!(changed.status, StatusCode::OK);
        waiting += u64::from(changed.is_pending());
        assert_eq!(changed.is_pending(), is_degraded(&changed), "{icao}");
        let read = at_a.airport(icao, false).await.unwrap();
        assert_eq!(read.airport().unwrap().name, "Changed");
    }
    let now = health(&mut at_a).await;
    assert_eq!(now["pending_invalidations"], waiting, "{now}");
    let of_each = |name: &str| [0, 1].map(|node| now["nodes"][node][name].clone());
    assert_eq!(of_each("available"), [json!(false), json!(true)], "{now}");
    assert_eq!(of_each("pending_invalidations"), [json!(waiting), json!(0)]);

    servers[0].restart();
    let back = async {
        for icao in AIRPORTS {
            loop {
                let read = at_a.airport(icao, false).await.unwrap();
                assert_eq!(read.airport().unwrap().name, "Changed");
                if x_cache(&read) == "hit" {
                    break;
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), back)
        .await
        .unwrap();
    assert_eq!(health(&mut at_a).await, expected);
    a.stop().await.unwrap();
    b.stop().await.unwrap();
}
