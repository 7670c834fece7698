//! The answers while the database fails or hangs.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;

use super::{assert_error, serve, statements, x_cache};
use crate::faults::Statement;
use crate::tour::Client;

#[tokio::test]
async fn an_outage_is_503_for_what_is_not_cached_and_leaves_nothing_behind() {
    let (server, mut client) = serve().await;
    let cached = client.airport("EDDF", false).await.unwrap();
    let faults = server.app().airports().faults();

    faults.set_failing(true);
    let missing = client.airport("EGLL", false).await.unwrap();
    assert_error(&missing, StatusCode::SERVICE_UNAVAILABLE);
    let bypassed = client.airport("EDDF", true).await.unwrap();
    assert_error(&bypassed, StatusCode::SERVICE_UNAVAILABLE);
    let update = client
        .change("EDDF", &json!({ "name": "Nowhere" }))
        .await
        .unwrap();
    assert_error(&update, StatusCode::SERVICE_UNAVAILABLE);
    let served = client.airport("EDDF", false).await.unwrap();
    assert_eq!((x_cache(&served), &served.body), ("hit", &cached.body));
    assert_eq!(client.get("/healthz").await.unwrap().status, StatusCode::OK);
    assert_eq!(statements(&server).failed, 3);

    faults.set_failing(false);
    let back = client.airport("EGLL", false).await.unwrap();
    assert_eq!((back.status, x_cache(&back)), (StatusCode::OK, "loaded"));
    let update = client
        .change("EDDF", &json!({ "name": "Rhein-Main" }))
        .await
        .unwrap();
    assert_eq!(update.airport().unwrap().name, "Rhein-Main");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_stampede_costs_one_query() {
    let (server, _) = serve().await;
    let mut held = server.app().airports().faults().hold_next(Statement::Read);
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        let mut client = Client::connect(server.address()).await.unwrap();
        asking.spawn(async move { client.airport("EDDF", false).await.unwrap() });
    }
    assert!(held.reached().await);
    let all_there = async {
        while server.app().requests() < 50 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), all_there)
        .await
        .unwrap();
    held.release();
    let replies = asking.join_all().await;
    assert!(replies.iter().all(|reply| reply.body == replies[0].body));
    assert_eq!(
        replies
            .iter()
            .filter(|reply| x_cache(reply) == "loaded")
            .count(),
        1
    );
    assert_eq!(statements(&server).reads, 1);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn an_update_is_not_undone_by_a_load_that_it_overtook() {
    let (server, mut client) = serve().await;
    let mut slow = Client::connect(server.address()).await.unwrap();
    let mut held = server.app().airports().faults().hold_next(Statement::Read);
    let slow = tokio::spawn(async move { slow.airport("EDDF", false).await.unwrap() });
    assert!(held.reached().await);
    client
        .change("EDDF", &json!({ "name": "New" }))
        .await
        .unwrap();
    held.release();
    assert_ne!(slow.await.unwrap().airport().unwrap().name, "New");
    let read = client.airport("EDDF", false).await.unwrap();
    assert_eq!(read.airport().unwrap().name, "New");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_that_hangs_up_after_the_commit_does_not_leave_the_old_row_cached() {
    let (server, mut client) = serve().await;
    client.airport("EDDF", false).await.unwrap();
    let mut hasty = Client::connect(server.address()).await.unwrap();
    let mut held = server.app().airports().faults().hold_next(Statement::Write);
    let hasty = tokio::spawn(async move {
        let _ = hasty.change("EDDF", &json!({ "name": "New" })).await;
    });
    assert!(held.reached().await);
    hasty.abort();
    // Round trips for the server to notice that the connection is gone.
    for _ in 0..20 {
        client.get("/healthz").await.unwrap();
    }
    held.release();
    let invalidated = async {
        loop {
            let read = client.airport("EDDF", false).await.unwrap();
            if read.airport().unwrap().name == "New" {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), invalidated)
        .await
        .unwrap();
    server.stop().await.unwrap();
}
