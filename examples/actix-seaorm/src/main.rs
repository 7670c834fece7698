//! Customers over HTTP: Actix Web, SeaORM, and cache-kit in front of the database.

mod customer;
mod error;
mod handlers;
mod repository;

use std::time::Duration;

use actix_web::{App, HttpServer, web};
use anyhow::Context as _;
use cache_kit::CacheService;
use cache_kit::backend::AnyBackend;
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::handlers::AppState;
use crate::repository::Customers;

/// How long each step may take after the service was told to stop: requests, writes, loads, the pool.
const GRACE: Duration = Duration::from_secs(5);

/// With tokio's `main`, so that there is a runtime besides those of Actix's workers.
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();

    // Does not connect yet: the service starts while its Redis is down.
    let url = setting("CACHE_URL", "memory://?capacity=10000");
    let cache = CacheService::new(AnyBackend::from_url(&url).context("CACHE_URL")?);

    let url = setting("DATABASE_URL", "sqlite://customers.sqlite?mode=rwc");
    let options = ConnectOptions::new(url).sqlx_logging(false).to_owned();
    let database = Database::connect(options).await.context("DATABASE_URL")?;
    database
        .execute_unprepared(include_str!("../schema.sql"))
        .await
        .context("create the tables")?;
    let database = Customers(database);

    let state = web::Data::new(AppState {
        // Customers that are asked for at the same time are loaded by one query.
        customers: cache.repository(database.clone()).coalesce_loads(64)?,
        cache,
        database,
        writes: TaskTracker::new(),
        runtime: Handle::current(),
    });
    let shared = state.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .configure(handlers::routes)
    })
    .shutdown_timeout(GRACE.as_secs())
    .bind(setting("LISTEN", "127.0.0.1:8080"))
    .context("LISTEN")?;
    for address in server.addrs() {
        println!("listening on http://{address}");
    }
    // Until SIGTERM, which lets requests in flight end, or Ctrl-C, which does not.
    server.run().await?;

    // What goes on without clients ends now: each step, whatever became of the one before.
    state.writes.close();
    let written = timeout(GRACE, state.writes.wait()).await;
    let drained = state.cache.drain(GRACE).await;
    let closed = timeout(GRACE, state.database.0.clone().close()).await;
    written.context("a write did not end")?;
    drained?;
    Ok(closed.context("a connection did not end")??)
}

fn setting(variable: &str, default: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| default.to_owned())
}
