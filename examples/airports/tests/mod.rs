//! The service over real HTTP, on free loopback ports.

use std::net::SocketAddr;

use axum::http::StatusCode;
use serde_json::Value;

use crate::cache::Cache;
use crate::database::Location;
use crate::repository::Statements;
use crate::server::Server;
use crate::tour::{Client, Reply};

mod faults;
mod lifecycle;
#[cfg(unix)]
mod memcached;
#[cfg(unix)]
mod redis;
mod routes;
mod tour;

/// A port that the system chooses.
fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

async fn serve() -> (Server, Client) {
    serve_from(&Location::Temporary, "memory://").await
}

async fn serve_from(database: &Location, cache: &str) -> (Server, Client) {
    let cache = Cache::open(cache).unwrap();
    let server = Server::start(any_port(), database, cache, false)
        .await
        .unwrap();
    let client = Client::connect(server.address()).await.unwrap();
    (server, client)
}

fn statements(server: &Server) -> Statements {
    server.app().airports().statements()
}

/// The origin as in the header.
fn x_cache(reply: &Reply) -> &str {
    reply
        .headers
        .get("x-cache")
        .map_or("", |value| value.to_str().unwrap())
}

/// An error is JSON with one text in it, whatever the cause.
fn assert_error(reply: &Reply, status: StatusCode) {
    assert_eq!(reply.status, status, "{:?}", reply.body);
    let Some(Value::Object(body)) = reply.json() else {
        panic!("not a JSON object: {:?}", reply.body);
    };
    assert!(body["error"].is_string() && body.len() == 1, "{body:?}");
}
