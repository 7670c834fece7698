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
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::handlers::App;
use crate::product::Products;

/// How long what has begun may go on after the service was told to stop.
const GRACE: Duration = Duration::from_secs(10);

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
    axum::serve(listener, handlers::router(app.clone()))
        .with_graceful_shutdown(stop(terminate))
        .await?;

    // All clients have their answers, or have hung up. What goes on without them ends now.
    app.writes.close();
    timeout(GRACE, app.writes.wait())
        .await
        .context("a write did not end")?;
    app.cache.drain(GRACE).await?;
    app.pool.close().await;
    Ok(())
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
