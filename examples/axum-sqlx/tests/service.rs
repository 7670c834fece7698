//! The built program, over HTTP.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is what a test is for"
)]

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use cache_kit_tests::services::http::{Reply, hang_up, send, stall};
use cache_kit_tests::services::{Answer, Database, Program, Readiness, Service};
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

    fn stall(address: SocketAddr) -> [TcpStream; 2] {
        stall(address, "PUT", &path(1))
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

#[test]
fn prometheus_is_told_what_the_cache_does() {
    let database = Database::new();
    let program = Program::start(Products::BINARY, &database, None);
    let address = program.address();
    for id in [1, 1, 77, 77] {
        Products::read(address, id);
    }
    let metrics = send(address, "GET", "/metrics", "").body;
    let gets = |result| format!("cache_kit_gets_total{{entity=\"product\",result=\"{result}\"}}");
    for (name, value) in [
        (gets("miss"), 2),
        (gets("hit"), 1),
        (gets("negative"), 1),
        ("cache_kit_entries".to_owned(), 1),
    ] {
        let line = format!("{name} {value}\n");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    program.terminate();
    program.ends_well();
}
