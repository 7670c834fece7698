//! What each route answers.

use axum::body::Bytes;
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use serde_json::json;

use super::{assert_error, serve, statements, x_cache};
use crate::repository::Statements;
use crate::tour::Reply;

#[tokio::test]
async fn the_second_read_is_a_hit_with_an_age() {
    let (server, mut client) = serve().await;
    let first = client.airport("EDDF", false).await.unwrap();
    let second = client.airport("eddf", false).await.unwrap();
    assert_eq!((first.status, x_cache(&first)), (StatusCode::OK, "loaded"));
    assert_eq!((second.status, x_cache(&second)), (StatusCode::OK, "hit"));
    assert_eq!(first.body, second.body);
    let airport = first.airport().unwrap();
    assert_eq!(
        (airport.iata.as_str(), airport.country.as_str()),
        ("FRA", "DE")
    );
    let age: u64 = second.headers["x-cache-age"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(age < 60_000, "{age}");
    assert!(second.lookup().is_some());
    assert_eq!(statements(&server).reads, 1);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn no_cache_asks_the_database_every_time() {
    let (server, mut client) = serve().await;
    for _ in 0..3 {
        let reply = client.airport("EDDF", true).await.unwrap();
        assert_eq!((reply.status, x_cache(&reply)), (StatusCode::OK, "loaded"));
    }
    assert_eq!(statements(&server).reads, 3);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn an_update_is_what_the_next_read_gives() {
    let (server, mut client) = serve().await;
    let mut expected = client
        .airport("EDDF", false)
        .await
        .unwrap()
        .airport()
        .unwrap();
    let change = json!({ "name": "Rhein-Main", "elevation": 365.5 });
    let changed = client.change("EDDF", &change).await.unwrap();
    expected.name = "Rhein-Main".into();
    expected.elevation = 365.5;
    assert_eq!(
        (changed.status, x_cache(&changed)),
        (StatusCode::OK, "loaded")
    );
    assert_eq!(changed.airport().unwrap(), expected);
    let read = client.airport("EDDF", false).await.unwrap();
    assert_eq!(x_cache(&read), "hit");
    assert_eq!(read.airport().unwrap(), expected);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_missing_is_404() {
    let (server, mut client) = serve().await;
    let read = client.airport("ZZZZ", false).await.unwrap();
    assert_error(&read, StatusCode::NOT_FOUND);
    assert_eq!(x_cache(&read), "loaded");
    let change = client
        .change("ZZZZ", &json!({ "name": "Nowhere" }))
        .await
        .unwrap();
    assert_error(&change, StatusCode::NOT_FOUND);
    assert_error(
        &client.get("/nothing").await.unwrap(),
        StatusCode::NOT_FOUND,
    );
    assert_error(
        &client.get("/airports/").await.unwrap(),
        StatusCode::NOT_FOUND,
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn many_airports_cost_one_query_and_come_in_the_order_of_the_request() {
    let (server, mut client) = serve().await;
    client.airport("EGLL", false).await.unwrap();
    let ids = ["EDDF", "ZZZZ", "egll"].map(String::from);
    let told = |reply: &Reply| (x_cache(reply).to_owned(), reply.hits());

    let read = client.airports(&ids).await.unwrap();
    assert_eq!(told(&read), ("loaded".into(), Some(1)));
    let airports = read.json().unwrap();
    let icaos = [0, 1, 2].map(|place| airports[place]["icao"].clone());
    assert_eq!(icaos, [json!("EDDF"), json!(null), json!("EGLL")]);
    assert_eq!(statements(&server).reads, 2);

    let read = client.airports(&ids[..1]).await.unwrap();
    assert_eq!(told(&read), ("hit".into(), Some(1)));
    assert_eq!(statements(&server).reads, 2);
    for query in ["", "?icao=", "?icao=EDDF,", "?iata=FRA"] {
        let reply = client.get(&format!("/airports{query}")).await.unwrap();
        assert_error(&reply, StatusCode::BAD_REQUEST);
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn an_id_that_is_no_icao_code_never_reaches_the_database() {
    let (server, mut client) = serve().await;
    for id in [
        "EDD",
        "EDDFF",
        "ED1F",
        "%FF%FF%FF%FF",
        "EDD%00",
        "%C3%84DD",
        "airport:EDDF",
    ] {
        let path = format!("/airports/{id}");
        for method in [Method::GET, Method::DELETE] {
            let reply = client.send(method, &path, &[], Bytes::new()).await.unwrap();
            assert_error(&reply, StatusCode::BAD_REQUEST);
        }
        let reply = client.change(id, &json!({ "name": "x" })).await.unwrap();
        assert_error(&reply, StatusCode::BAD_REQUEST);
    }
    assert_eq!(statements(&server), Default::default());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_bad_body_is_refused_without_repeating_it() {
    let (server, mut client) = serve().await;
    let long = format!("{{\"name\": \"hunter2{}\"}}", "x".repeat(20_000));
    let json = "application/json";
    for (status, content_type, body) in [
        (StatusCode::BAD_REQUEST, json, "{\"name\": hunter2"),
        (StatusCode::BAD_REQUEST, json, ""),
        (StatusCode::BAD_REQUEST, json, "{} hunter2"),
        (StatusCode::UNPROCESSABLE_ENTITY, json, "\"hunter2\""),
        (StatusCode::UNPROCESSABLE_ENTITY, json, "{\"hunter2\": 1}"),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            json,
            "{\"elevation\": \"hunter2\"}",
        ),
        (StatusCode::UNPROCESSABLE_ENTITY, json, "{}"),
        (StatusCode::UNPROCESSABLE_ENTITY, json, "{\"name\": \"\"}"),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            json,
            "{\"elevation\": 1e300}",
        ),
        (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "text/plain",
            "{\"name\": \"hunter2\"}",
        ),
        (StatusCode::PAYLOAD_TOO_LARGE, json, &long),
    ] {
        let headers = &[(CONTENT_TYPE, content_type)];
        let body = Bytes::copy_from_slice(body.as_bytes());
        let reply = client
            .send(Method::PUT, "/airports/EDDF", headers, body)
            .await
            .unwrap();
        assert_error(&reply, status);
        assert!(
            !String::from_utf8_lossy(&reply.body).contains("hunter2"),
            "{:?}",
            reply.body
        );
    }
    assert_eq!(statements(&server), Default::default());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_deleted_airport_is_gone_from_the_cache_too() {
    let (server, mut client) = serve().await;
    assert_eq!(
        client.airport("EDDF", false).await.unwrap().status,
        StatusCode::OK
    );
    for _ in 0..2 {
        let delete = client.send(Method::DELETE, "/airports/EDDF", &[], Bytes::new());
        let deleted = delete.await.unwrap();
        assert_eq!(deleted.status, StatusCode::NO_CONTENT);
        assert!(!deleted.is_pending());
        let read = client.airport("EDDF", false).await.unwrap();
        assert_error(&read, StatusCode::NOT_FOUND);
    }
    let expected = Statements {
        reads: 3,
        writes: 2,
        failed: 0,
    };
    assert_eq!(statements(&server), expected, "a delete loads nothing");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_method_is_405_and_says_which_are_right() {
    let (server, mut client) = serve().await;
    let send = client.send(Method::POST, "/airports/EDDF", &[], Bytes::new());
    let reply = send.await.unwrap();
    assert_error(&reply, StatusCode::METHOD_NOT_ALLOWED);
    assert!(reply.headers[ALLOW].to_str().unwrap().contains("PUT"));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn stats_count_requests_statements_and_hits() {
    let (server, mut client) = serve().await;
    client.airport("EDDF", false).await.unwrap();
    client.airport("EDDF", false).await.unwrap();
    client
        .change("EDDF", &json!({ "city": "Frankfurt" }))
        .await
        .unwrap();
    let stats = client.get("/stats").await.unwrap().json().unwrap();
    assert_eq!(stats["requests"], 4, "{stats}");
    assert_eq!(
        stats["database"],
        json!({ "reads": 2, "writes": 1, "failed": 0 })
    );
    assert_eq!(stats["cache"]["hits"], 1, "{stats}");
    let health = json!({
        "kind": "memory",
        "available": true,
        "pending_invalidations": 0,
        "last_error": null,
        "nodes": [],
    });
    assert_eq!(stats["cache"]["health"], health);
    let healthz = client.get("/healthz").await.unwrap().json().unwrap();
    assert_eq!(healthz, json!({ "status": "ok", "cache": health }));
    let readyz = client.get("/readyz").await.unwrap();
    assert_eq!(readyz.json(), Some(json!({ "status": "ready" })));
    server.stop().await.unwrap();
}
