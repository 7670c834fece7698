//! The routes over a real Redis, and over one that is dead, refuses the login or comes back.

use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use cache_kit_tests::servers::{RedisServer, free_port};
use serde_json::{Value, json};

use super::{assert_error, serve_from, statements, x_cache};
use crate::answer::X_CACHE_DEGRADED;
use crate::database::Location;
use crate::tour::{Client, Reply};

const PASSWORD: &str = "hunter2";

/// The value of `x-cache-degraded`.
fn degraded(reply: &Reply) -> &str {
    reply
        .headers
        .get(X_CACHE_DEGRADED)
        .map_or("", |told| told.to_str().unwrap())
}

async fn delete(client: &mut Client, icao: &str) -> Reply {
    let path = format!("/airports/{icao}");
    client
        .send(Method::DELETE, &path, &[], Bytes::new())
        .await
        .unwrap()
}

/// `/healthz` says the same as `/stats` about the cache, and neither shows the password.
async fn health(client: &mut Client) -> Value {
    let healthz = client.get("/healthz").await.unwrap();
    let stats = client.get("/stats").await.unwrap();
    for reply in [&healthz, &stats] {
        assert_eq!(reply.status, StatusCode::OK);
        assert!(!String::from_utf8_lossy(&reply.body).contains(PASSWORD));
    }
    let healthz = healthz.json().unwrap();
    assert_eq!(healthz["status"], "ok");
    assert_eq!(healthz["cache"], stats.json().unwrap()["cache"]["health"]);
    healthz["cache"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_share_what_they_load_change_and_delete() {
    let redis = RedisServer::options().password(PASSWORD).start();
    let directory = tempfile::tempdir().unwrap();
    let file = Location::File(directory.path().join("airports.sqlite"));
    let (a, mut at_a) = serve_from(&file, &redis.url()).await;
    let (b, mut at_b) = serve_from(&file, &redis.url()).await;

    let loaded = at_a.airport("EDDF", false).await.unwrap();
    let hit = at_b.airport("eddf", false).await.unwrap();
    assert_eq!((x_cache(&loaded), x_cache(&hit)), ("loaded", "hit"));
    assert_eq!(loaded.body, hit.body);
    assert_eq!(statements(&b).reads, 0);

    let change = json!({ "name": "Rhein-Main" });
    let changed = at_b.change("EDDF", &change).await.unwrap();
    assert_eq!((changed.status, degraded(&changed)), (StatusCode::OK, ""));
    let read = at_a.airport("EDDF", false).await.unwrap();
    assert_eq!(read.airport().unwrap().name, "Rhein-Main");
    assert_eq!(x_cache(&read), "hit");

    let deleted = delete(&mut at_a, "EDDF").await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(degraded(&deleted), "");
    let gone = at_b.airport("EDDF", false).await.unwrap();
    assert_error(&gone, StatusCode::NOT_FOUND);

    let stats = at_a.get("/stats").await.unwrap().json().unwrap();
    let cache = &stats["cache"];
    assert_eq!(
        (&cache["hits"], &cache["misses"], &cache["stores"]),
        (&json!(1), &json!(1), &json!(1)),
        "{stats}"
    );
    let expected = json!({
        "kind": "redis",
        "available": true,
        "pending_invalidations": 0,
        "last_error": null,
        "nodes": [{
            "name": format!("127.0.0.1:{}", redis.port()),
            "role": "primary",
            "available": true,
            "pending_invalidations": 0,
        }],
    });
    assert_eq!(health(&mut at_a).await, expected);
    assert_eq!(health(&mut at_b).await, expected);
    a.stop().await.unwrap();
    b.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_starts_and_answers_while_redis_is_dead() {
    let url = format!("redis://:{PASSWORD}@127.0.0.1:{}", free_port());
    let (server, mut client) = serve_from(&Location::Temporary, &url).await;
    for _ in 0..5 {
        let read = client.airport("EDDF", false).await.unwrap();
        assert_eq!((read.status, x_cache(&read)), (StatusCode::OK, "loaded"));
        assert_eq!(degraded(&read), "read, store");
    }
    let change = json!({ "name": "Rhein-Main" });
    let changed = client.change("EDDF", &change).await.unwrap();
    assert_eq!(changed.airport().unwrap().name, "Rhein-Main");
    assert_eq!(degraded(&changed), "store, invalidation-pending");
    let deleted = delete(&mut client, "EGLL").await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(degraded(&deleted), "invalidation-pending");
    let gone = client.airport("EGLL", false).await.unwrap();
    assert_error(&gone, StatusCode::NOT_FOUND);

    let health = health(&mut client).await;
    assert_eq!(health["available"], false, "{health}");
    assert_eq!(health["pending_invalidations"], 2, "{health}");
    assert!(health["last_error"].is_string(), "{health}");
    let node = &health["nodes"][0];
    assert_eq!(
        (&node["available"], &node["pending_invalidations"]),
        (&json!(false), &json!(2)),
        "{health}"
    );
    let ready = client.get("/readyz").await.unwrap();
    assert_error(&ready, StatusCode::SERVICE_UNAVAILABLE);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_serves_again_and_nothing_old() {
    let redis = RedisServer::options().password(PASSWORD).start();
    let (server, mut client) = serve_from(&Location::Temporary, &redis.url()).await;
    for _ in 0..2 {
        client.airport("EDDF", false).await.unwrap();
    }
    redis.kill();
    let change = json!({ "name": "Rhein-Main" });
    let changed = client.change("EDDF", &change).await.unwrap();
    assert!(changed.is_pending());
    redis.restart();
    let back = async {
        loop {
            let read = client.airport("EDDF", false).await.unwrap();
            assert_eq!(read.airport().unwrap().name, "Rhein-Main");
            if x_cache(&read) == "hit" {
                break;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), back)
        .await
        .unwrap();
    let health = health(&mut client).await;
    assert_eq!(health["available"], true, "{health}");
    let ready = client.get("/readyz").await.unwrap();
    assert_eq!(ready.status, StatusCode::OK);
    assert_eq!(health["pending_invalidations"], 0, "{health}");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_costs_the_cache_and_is_not_repeated() {
    let redis = RedisServer::options().password("another").start();
    let url = format!("redis://:{PASSWORD}@127.0.0.1:{}", redis.port());
    let (server, mut client) = serve_from(&Location::Temporary, &url).await;
    let read = client.airport("EDDF", false).await.unwrap();
    assert_eq!((read.status, x_cache(&read)), (StatusCode::OK, "loaded"));
    let health = health(&mut client).await;
    assert!(health["last_error"].is_string(), "{health}");
    server.stop().await.unwrap();
}
