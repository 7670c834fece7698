//! Products over HTTP: Axum, SQLx, and cache-kit in front of the database.

mod error;
mod handlers;
mod product;

use std::time::Duration;

use anyhow::Context as _;
use cache_kit::CacheService;
use cache_kit::backend::AnyBackend;
use cache_kit::observability::FacadeMetrics;
use metrics_exporter_prometheus::PrometheusBuilder;
use sqlx::SqlitePool;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::handlers::App;
use crate::product::Products;

/// How long each step may take after the service was told to stop: requests, writes, loads, the pool.
const GRACE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let terminate = signal(SignalKind::terminate())?;

    let metrics = PrometheusBuilder::new().install_recorder()?;

    // Does not connect yet: the service starts while its Redis is down.
    let url = setting("CACHE_URL", "memory://?capacity=10000");
    let backend = AnyBackend::from_url(&url).context("CACHE_URL")?;
    let cache = CacheService::with_metrics(backend, FacadeMetrics::boxed());

    let url = setting("DATABASE_URL", "sqlite://products.sqlite?mode=rwc");
    let pool = SqlitePool::connect(&url).await.context("DATABASE_URL")?;
    sqlx::raw_sql(include_str!("../schema.sql"))
        .execute(&pool)
        .await
        .context("create the tables")?;

    let app = App {
        products: cache.repository(Products(pool.clone())),
        cache,
        pool,
        metrics,
        writes: TaskTracker::new(),
    };
    let listener = TcpListener::bind(setting("LISTEN", "127.0.0.1:8080"))
        .await
        .context("LISTEN")?;
    println!("listening on http://{}", listener.local_addr()?);
    let stopping = CancellationToken::new();
    let server = axum::serve(listener, handlers::router(app.clone()))
        .with_graceful_shutdown(stopping.clone().cancelled_owned());
    let limit = async {
        stop(terminate).await;
        stopping.cancel();
        sleep(GRACE).await;
    };
    tokio::select! {
        served = server.into_future() => served?,
        () = limit => tracing::warn!("a client did not end its request"),
    }

    // What goes on without clients ends now: each step, whatever became of the one before.
    app.writes.close();
    let written = timeout(GRACE, app.writes.wait()).await;
    let drained = app.cache.drain(GRACE).await;
    let closed = timeout(GRACE, app.pool.close()).await;
    written.context("a write did not end")?;
    drained?;
    closed.context("a connection did not end")
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
