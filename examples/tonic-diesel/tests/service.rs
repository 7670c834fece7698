//! The built program, over gRPC.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is what a test is for"
)]

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use cache_kit_tests::services::{Answer, Readiness, Service};
use proto::inventory_client::InventoryClient;
use tokio::runtime::Builder;
use tokio::time::timeout;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

mod proto {
    tonic::include_proto!("inventory.v1");
}

struct Inventory;

impl Service for Inventory {
    const BINARY: &'static str = env!("CARGO_BIN_EXE_tonic-diesel");

    fn read(address: SocketAddr, id: u32) -> Answer {
        let sku = sku(id);
        let request = proto::GetItemRequest { sku };
        answer(call(address, async |channel| {
            InventoryClient::new(channel).get_item(request).await
        }))
    }

    fn write(address: SocketAddr, id: u32, name: &str) -> Answer {
        let item = item(id, name);
        answer(call(address, async |channel| {
            InventoryClient::new(channel).put_item(item).await
        }))
    }

    fn write_and_hang_up(address: SocketAddr, id: u32, name: &str, patience: Duration) {
        let item = item(id, name);
        let written = call(address, async |channel| {
            let mut client = InventoryClient::new(channel);
            timeout(patience, client.put_item(item)).await
        });
        assert!(
            written.is_err(),
            "it was to be without an answer: {written:?}"
        );
    }

    fn stall(address: SocketAddr) -> [TcpStream; 2] {
        // All that a connection of HTTP/2 begins with, and then half a frame.
        let begun = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0";
        [&b""[..], begun].map(|said| {
            let mut connection = TcpStream::connect(address).unwrap();
            connection.write_all(said).unwrap();
            connection
        })
    }

    fn is_live(address: SocketAddr) -> bool {
        serves(address, "")
    }

    fn readiness(address: SocketAddr) -> Readiness {
        Readiness {
            ready: serves(address, "inventory.v1.Inventory"),
            cache: serves(address, "cache"),
        }
    }
}

fn sku(id: u32) -> String {
    format!("sku-{id}")
}

fn item(id: u32, name: &str) -> proto::Item {
    proto::Item {
        sku: sku(id),
        name: name.to_owned(),
        stock: 5,
    }
}

/// A call on a connection of its own.
fn call<T>(address: SocketAddr, with: impl AsyncFnOnce(Channel) -> T) -> T {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        with(endpoint.connect().await.unwrap()).await
    })
}

fn answer(response: Result<Response<proto::Item>, Status>) -> Answer {
    let told = |metadata: &MetadataMap| {
        let told = metadata.get("cache-status").unwrap();
        told.to_str().unwrap().to_owned()
    };
    match response {
        Ok(response) => Answer {
            cache: told(response.metadata()),
            name: Some(response.into_inner().name),
        },
        Err(status) => {
            assert_eq!(status.code(), Code::NotFound, "{status:?}");
            Answer {
                cache: told(status.metadata()),
                name: None,
            }
        }
    }
}

/// A name that the service does not know yet is not served.
fn serves(address: SocketAddr, service: &str) -> bool {
    let service = service.to_owned();
    let checked = call(address, async |channel| {
        let request = HealthCheckRequest { service };
        HealthClient::new(channel).check(request).await
    });
    checked.is_ok_and(|response| response.into_inner().status() == ServingStatus::Serving)
}

cache_kit_tests::service_stories!(Inventory);
