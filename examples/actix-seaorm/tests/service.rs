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

struct Customers;

impl Service for Customers {
    const BINARY: &'static str = env!("CARGO_BIN_EXE_actix-seaorm");

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
    format!("/customers/{id}")
}

fn named(name: &str) -> String {
    json!({ "name": name, "email": "new@example.org" }).to_string()
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

cache_kit_tests::service_stories!(Customers);

#[test]
fn a_list_has_the_order_of_its_ids_and_loads_what_is_not_cached() {
    let database = Database::new();
    let program = Program::start(Customers::BINARY, &database, None);
    let address = program.address();
    Customers::read(address, 2);
    let list = |expected: &str| {
        let reply = send(address, "GET", "/customers?ids=3,2,77,1", "");
        assert_eq!(reply.header("x-cache-hits"), expected);
        let rows: Value = reply.body.parse().unwrap();
        let rows = rows.as_array().unwrap().iter();
        let ids: Vec<_> = rows.map(|row| row["id"].as_i64()).collect();
        assert_eq!(ids, [Some(3), Some(2), None, Some(1)]);
    };
    list("1 of 4");
    list("4 of 4");
    for ids in ["", "1,", "x", &["1"; 201].join(",")] {
        let reply = send(address, "GET", &format!("/customers?ids={ids}"), "");
        assert_eq!(reply.status, 400, "{reply:?}");
        assert!(reply.body.contains("1 to 200"), "{reply:?}");
    }
}
