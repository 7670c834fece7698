//! An inventory over gRPC: Tonic, Diesel, and cache-kit in front of the database.

mod health;
mod item;
mod repository;
mod service;

/// What `build.rs` makes of `proto/inventory.proto`.
mod proto {
    tonic::include_proto!("inventory.v1");
}

use std::time::Duration;

use anyhow::Context as _;
use cache_kit::CacheService;
use cache_kit::backend::AnyBackend;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::proto::inventory_server::InventoryServer;
use crate::repository::Items;
use crate::service::InventoryService;

/// How long each step may take after the service was told to stop: requests, writes, loads.
const GRACE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let terminate = signal(SignalKind::terminate())?;

    // Does not connect yet: the service starts while its Redis is down.
    let url = setting("CACHE_URL", "memory://?capacity=10000");
    let cache = CacheService::new(AnyBackend::from_url(&url).context("CACHE_URL")?);

    let url = setting("DATABASE_URL", "sqlite://inventory.sqlite");
    let database = Items::open(&url).context("DATABASE_URL")?;

    let writes = TaskTracker::new();
    let inventory = InventoryService {
        items: cache.repository(database.clone()),
        database: database.clone(),
        writes: writes.clone(),
    };
    let (reporter, health) = tonic_health::server::health_reporter();
    tokio::spawn(health::watch(reporter, database, cache.clone()));

    let listener = TcpListener::bind(setting("LISTEN", "127.0.0.1:50051"))
        .await
        .context("LISTEN")?;
    println!("listening on http://{}", listener.local_addr()?);
    let stopping = CancellationToken::new();
    let stopped = stopping.clone().cancelled_owned();
    let server = Server::builder()
        .add_service(health)
        .add_service(InventoryServer::new(inventory))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), stopped);
    let limit = async {
        stop(terminate).await;
        stopping.cancel();
        sleep(GRACE).await;
    };
    tokio::select! {
        served = server => served?,
        () = limit => tracing::warn!("a client did not end its call, or its connection"),
    }

    // What goes on without clients ends now: each step, whatever became of the one before.
    writes.close();
    let written = timeout(GRACE, writes.wait()).await;
    let drained = cache.drain(GRACE).await;
    written.context("a write did not end")?;
    Ok(drained?)
}

fn setting(variable: &str, default: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| default.to_owned())
}

/// Ends with the first SIGTERM or Ctrl-C.
async fn stop(mut terminate: Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
