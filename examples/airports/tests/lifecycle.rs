//! Starting and stopping.

use axum::http::StatusCode;
use serde_json::json;

use super::{any_port, serve, serve_from};
use crate::cache::Cache;
use crate::database::Location;
use crate::faults::Statement;
use crate::server::Server;
use crate::tour::Client;

#[tokio::test]
async fn stopping_removes_the_temporary_database() {
    let (server, client) = serve().await;
    let directory = server.database().directory().unwrap();
    assert!(directory.join("airports.sqlite").is_file());
    // An idle connection must not delay it.
    server.stop().await.unwrap();
    assert!(!directory.exists());
    drop(client);
}

#[tokio::test]
async fn stopping_lets_a_request_in_flight_end() {
    let (server, mut client) = serve().await;
    let address = server.address();
    let mut held = server.app().airports().faults().hold_next(Statement::Read);
    let asking = tokio::spawn(async move { client.airport("EDDF", false).await.unwrap() });
    assert!(held.reached().await);
    let stopping = tokio::spawn(server.stop());
    // The listener is closed first, so a refused connection shows that stopping has begun.
    while Client::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!stopping.is_finished());
    held.release();
    assert_eq!(asking.await.unwrap().status, StatusCode::OK);
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_file_keeps_its_changes_and_is_not_imported_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("airports.sqlite");
    let file = Location::File(path.clone());
    let (server, mut client) = serve_from(&file, "memory://").await;
    client
        .change("EDDF", &json!({ "name": "Kept" }))
        .await
        .unwrap();
    server.stop().await.unwrap();
    assert!(path.is_file());

    let url = Location::Url(format!("sqlite://{}", path.display()));
    let (server, mut client) = serve_from(&url, "memory://").await;
    let read = client.airport("EDDF", false).await.unwrap();
    assert_eq!(read.airport().unwrap().name, "Kept");
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM airports")
        .fetch_one(server.database().pool())
        .await
        .unwrap();
    assert_eq!(count, 7_637);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_database_url_is_refused_without_repeating_it() {
    let url = Location::Url("postgres://user:hunter2@localhost/airports".into());
    let memory = Cache::open("memory://").unwrap();
    let started = Server::start(any_port(), &url, memory, false).await;
    let failure = started.err().unwrap();
    assert_eq!(
        failure.to_string(),
        "could not use DATABASE_URL: it is not a sqlite:// URL"
    );
}

#[test]
fn a_wrong_cache_url_is_refused_without_repeating_it() {
    for url in [
        "",
        "memory",
        "memory://hunter2",
        "memory://?size=hunter2",
        "memcached://hunter2@localhost",
        "redis://:hunter2@",
        "redis://:hunter2@localhost:port",
        "redis://:hunter2@localhost?ttl=hunter2",
        "memcached://localhost:hunter2",
        "memcacheds://hunter2",
    ] {
        let text = Cache::open(url).err().unwrap().to_string();
        assert!(
            text.starts_with("could not use the cache's URL: ") && !text.contains("hunter2"),
            "{url:?}: {text}"
        );
    }
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let (server, _) = serve().await;
    let memory = Cache::open("memory://").unwrap();
    let second = Server::start(server.address(), &Location::Temporary, memory, false).await;
    assert!(
        second
            .err()
            .unwrap()
            .to_string()
            .starts_with("could not listen: ")
    );
    server.stop().await.unwrap();
}
