//! The routes.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use cache_kit::backend::AnyBackend;
use cache_kit::observability::CacheStatus;
use cache_kit::{CacheService, CacheStrategy, CachedRepository, Outcome, SharedFeeder};
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::SqlitePool;
use tokio_util::task::TaskTracker;

use crate::error::ApiError;
use crate::product::{self, NewProduct, OnConnection, Product};

/// What the handlers share. Clones are cheap, and share everything.
#[derive(Clone)]
pub struct App {
    pub cache: CacheService<AnyBackend>,
    pub products: CachedRepository<Product>,
    pub pool: SqlitePool,
    pub metrics: PrometheusHandle,
    /// The writes that have begun. They go on without their clients.
    pub writes: TaskTracker,
}

pub fn router(app: App) -> Router {
    Router::new()
        .route("/products/{id}", get(read).put(write))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(app)
}

async fn read(State(app): State<App>, Path(id): Path<i64>) -> Result<Response, ApiError> {
    let (product, outcome) = app.products.get(&id).with_outcome().await?;
    Ok(answer(product.as_deref(), outcome))
}

/// Web servers drop a handler when its client hangs up. So the write has a task of its own: between
/// commit and invalidation nothing may drop it.
async fn write(
    State(app): State<App>,
    Path(id): Path<i64>,
    Json(new): Json<NewProduct>,
) -> Result<Response, ApiError> {
    let writes = app.writes.clone();
    writes.spawn(put(app, id, new)).await?
}

/// Commits, then invalidates: in the other order, a reader in between would put the old row back.
async fn put(app: App, id: i64, new: NewProduct) -> Result<Response, ApiError> {
    let mut connection = app.pool.acquire().await?;
    if let Err(error) = product::put(&mut connection, id, &new).await {
        // It may be committed all the same, if the connection broke before the answer came.
        app.products.invalidate(&id).await?;
        return Err(error.into());
    }
    // The row is loaded over the connection that is there. A second one out of the pool might never
    // come, if all requests that have one wait for another.
    let mut feeder = SharedFeeder::<Product>::new(id);
    let lent = OnConnection::new(&mut connection);
    let strategy = CacheStrategy::Invalidate;
    let outcome = app.cache.execute(&mut feeder, &lent, strategy).await?;
    Ok(answer(feeder.entity.as_deref(), outcome))
}

/// 200 with the product or 404 without, and in `Cache-Status` what the cache did.
fn answer(product: Option<&Product>, outcome: Outcome) -> Response {
    let status = outcome.cache_status("products").to_string();
    let told = [(CacheStatus::NAME, status)];
    match product {
        Some(product) => (told, Json(product)).into_response(),
        None => (StatusCode::NOT_FOUND, told).into_response(),
    }
}

/// Whether the process serves. Restarting it helps against nothing else.
async fn live() -> &'static str {
    "live"
}

/// Whether requests should come here. They need the database. Without the cache they only take longer,
/// and it would be away for all instances at once.
async fn ready(State(app): State<App>) -> Result<&'static str, ApiError> {
    sqlx::query("SELECT 1").execute(&app.pool).await?;
    Ok(match app.cache.ping().await {
        Ok(()) => "ready",
        // The log says why: an error names hosts.
        Err(_) => "ready, without the cache",
    })
}

/// What Prometheus asks for.
async fn metrics(State(app): State<App>) -> String {
    app.metrics.run_upkeep();
    app.metrics.render()
}
