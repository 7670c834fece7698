//! The built program, over HTTP.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is what a test is for"
)]

use std::net::SocketAddr;
use std::time::Duration;

use cache_kit_tests::services::http::{Reply, hang_up, send};
use cache_kit_tests::services::{Answer, Readiness, Service};
use serde_json::{Value, json};

struct Products;

impl Service for Products {
    const BINARY: &'static str = env!("CARGO_BIN_EXE_axum-sqlx");

    fn read(address: SocketAddr, id: u32) -> Answer {
        answer(&send(address, "GET", &path(id), ""))
    }

    fn write(address: SocketAddr, id: u32, name: &str) -> Answer {
        answer(&send(address, "PUT", &path(id), &named(name)))
    }

    fn write_and_hang_up(address: SocketAddr, id: u32, name: &str, patience: Duration) {
        hang_up(address, "PUT", &path(id), &named(name), patience);
    }

    fn is_live(address: SocketAddr) -> bool {
        send(address, "GET", "/health/live", "").status == 200
    }

    fn readiness(address: SocketAddr) -> Readiness {
        let reply = send(address, "GET", "/health/ready", "");
        Readiness {
            ready: reply.status == 200,
            cache: reply.body == "ready",
        }
    }
}

fn path(id: u32) -> String {
    format!("/products/{id}")
}

fn named(name: &str) -> String {
    json!({ "name": name, "price_cents": 100 }).to_string()
}

fn answer(reply: &Reply) -> Answer {
    assert!(matches!(reply.status, 200 | 404), "{reply:?}");
    let row: Value = reply.body.parse().unwrap_or_default();
    assert_eq!(row.is_object(), reply.status == 200, "{reply:?}");
    Answer {
        name: row["name"].as_str().map(str::to_owned),
        cache: reply.header("cache-status").to_owned(),
    }
}

cache_kit_tests::service_stories!(Products);
