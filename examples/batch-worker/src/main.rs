//! A worker that takes its work from tables, in batches: SQLx, and cache-kit in front of the prices.

mod price;
mod rounds;

use std::time::Duration;

use anyhow::Context as _;
use cache_kit::CacheService;
use cache_kit::backend::AnyBackend;
use sqlx::SqlitePool;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use crate::price::Prices;
use crate::rounds::Worker;

/// How long it waits when there is nothing to do, or after a failure.
const PAUSE: Duration = Duration::from_millis(200);

/// How long what has begun may go on after the worker was told to stop.
const GRACE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let mut stop = Box::pin(stop(signal(SignalKind::terminate())?));

    // Does not connect yet: the worker starts while its Redis is down.
    let url = setting("CACHE_URL", "memory://?capacity=10000");
    let cache = CacheService::new(AnyBackend::from_url(&url).context("CACHE_URL")?);

    let url = setting("DATABASE_URL", "sqlite://orders.sqlite?mode=rwc");
    let pool = SqlitePool::connect(&url).await.context("DATABASE_URL")?;
    sqlx::raw_sql(include_str!("../schema.sql"))
        .execute(&pool)
        .await
        .context("create the tables")?;

    match cache.ping().await {
        Ok(()) => println!("ready"),
        Err(error) => println!("ready, without the cache: {error}"),
    }
    let worker = Worker {
        prices: cache.repository(Prices(pool.clone())),
        pool,
    };
    loop {
        // A round is never cut off: the signal is looked at in between.
        let pause = match worker.round().await {
            Ok(true) => Duration::ZERO,
            Ok(false) => PAUSE,
            Err(error) => {
                tracing::error!("round failed: {error:?}");
                PAUSE
            }
        };
        tokio::select! {
            biased;
            () = &mut stop => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
    let drained = cache.drain(GRACE).await;
    let closed = timeout(GRACE, worker.pool.close()).await;
    drained?;
    closed.context("a connection did not end")?;
    println!("stopped");
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
