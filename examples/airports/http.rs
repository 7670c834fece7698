//! The routes.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use cache_kit::CacheStrategy;
use cache_kit::backend::Invalidated;
use cache_kit::observability::Degraded;
use serde_json::{Value, json};

use crate::answer::{Answer, Answers, tell_degraded};
use crate::cache::Cache;
use crate::entity::{AirportChange, GetAirport, GetAirportFeeder, NotIcao};
use crate::error::{ApiError, Cause};
use crate::repository::{AirportRepository, may_be_committed};

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct App {
    cache: Cache,
    airports: AirportRepository,
    requests: Arc<AtomicU64>,
    log: bool,
}

impl App {
    /// With `log`, the cause of a 5xx is written to standard error.
    pub(crate) fn new(cache: Cache, airports: AirportRepository, log: bool) -> Self {
        Self {
            cache,
            airports,
            requests: Arc::default(),
            log,
        }
    }

    pub(crate) fn airports(&self) -> &AirportRepository {
        &self.airports
    }

    /// How many requests have arrived so far, the unanswered ones included.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/airports", get(read_airports))
            .route(
                "/airports/{icao}",
                get(read_airport).put(change_airport).delete(delete_airport),
            )
            .route("/stats", get(stats))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .fallback(async || ApiError::NoRoute)
            .method_not_allowed_fallback(async || ApiError::Method)
            .layer(DefaultBodyLimit::max(16 * 1024))
            .layer(middleware::from_fn_with_state(self.clone(), observe))
            .with_state(self)
    }

    /// Asks the cache under one strategy.
    async fn ask(&self, request: GetAirport, strategy: CacheStrategy) -> Result<Answer, ApiError> {
        let mut feeder = request.into_feeder();
        let started = Instant::now();
        let outcome = self
            .cache
            .execute(&mut feeder, &self.airports, strategy)
            .await?;
        let took = started.elapsed();
        Ok(Answer::new(feeder.into_entity(), &outcome, took))
    }

    /// Changes a row, then invalidates: after the commit and not before, because a reader in
    /// between would put the old row back. Answers with the row as it is now.
    async fn change(self, request: GetAirport, change: AirportChange) -> Result<Answer, ApiError> {
        let written = self.airports.update(&request.icao, &change).await;
        self.settle(&request, written).await?;
        self.ask(request, CacheStrategy::Invalidate).await
    }

    /// Deletes a row, then invalidates. The row is gone, so nothing is loaded.
    async fn delete(self, request: GetAirport) -> Result<Invalidated, ApiError> {
        let written = self.airports.delete(&request.icao).await;
        self.settle(&request, written).await?;
        Ok(self.cache.invalidate(&request.icao).await?)
    }

    /// Passes on the result of a write. If it failed but may have been committed, the cache is
    /// invalidated first.
    async fn settle(
        &self,
        request: &GetAirport,
        written: Result<bool, sqlx::Error>,
    ) -> Result<bool, ApiError> {
        if written.as_ref().is_err_and(may_be_committed) {
            self.cache.invalidate(&request.icao).await?;
        }
        written.map_err(ApiError::Database)
    }
}

/// Runs a write to its end even if the client hangs up: a dropped handler would leave a committed
/// row without its invalidation.
async fn detached<T: Send + 'static>(
    write: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::spawn(write).await.unwrap_or(Err(ApiError::Broken))
}

type Id = Result<Path<String>, PathRejection>;

fn parse(id: Id) -> Result<GetAirport, ApiError> {
    let Path(id) = id.map_err(|_| NotIcao)?;
    Ok(GetAirport::parse(&id)?)
}

async fn read_airport(
    State(app): State<App>,
    headers: HeaderMap,
    id: Id,
) -> Result<Answer, ApiError> {
    let request = parse(id)?;
    // What a browser sends on a forced reload.
    let strategy = match headers.get(header::CACHE_CONTROL) {
        Some(value) if value == "no-cache" => CacheStrategy::Bypass,
        _ => CacheStrategy::Refresh,
    };
    app.ask(request, strategy).await
}

/// `?icao=EDDF,EGLL`: one look-up and at most one query for all of them.
async fn read_airports(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Answers, ApiError> {
    let mut feeders = GetAirport::parse_many(query.as_deref().unwrap_or_default())?
        .into_iter()
        .map(GetAirport::into_feeder)
        .collect::<Vec<_>>();
    let started = Instant::now();
    let outcomes = app.cache.execute_many(&mut feeders, &app.airports).await?;
    let took = started.elapsed();
    let airports = feeders.into_iter().map(GetAirportFeeder::into_entity);
    Ok(Answers::new(airports.collect(), &outcomes, took))
}

async fn change_airport(
    State(app): State<App>,
    id: Id,
    body: Result<Json<AirportChange>, JsonRejection>,
) -> Result<Answer, ApiError> {
    let request = parse(id)?;
    let Json(change) = body?;
    change.check().map_err(ApiError::Change)?;
    detached(app.change(request, change)).await
}

/// Deleting a missing row is no error: afterwards it is gone either way.
async fn delete_airport(State(app): State<App>, id: Id) -> Result<Response, ApiError> {
    let request = parse(id)?;
    let invalidated = detached(app.delete(request)).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let mut degraded = Degraded::default();
    degraded.invalidation_pending = invalidated == Invalidated::Pending;
    tell_degraded(response.headers_mut(), degraded);
    Ok(response)
}

async fn stats(State(app): State<App>) -> Json<Value> {
    Json(json!({
        "requests": app.requests(),
        "database": app.airports.statements(),
        "cache": app.cache.stats(),
    }))
}

/// Says that the process serves, not that its database or its cache do: a restart would fix
/// neither, and would lose the cache in memory.
async fn healthz(State(app): State<App>) -> Json<Value> {
    Json(json!({ "status": "ok", "cache": app.cache.health() }))
}

/// Whether the cache answers now. A service that takes no traffic without its cache asks this; this one
/// serves from the database.
async fn readyz(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    app.cache.ping().await.map_err(ApiError::NotReady)?;
    Ok(Json(json!({ "status": "ready" })))
}

async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    app.requests.fetch_add(1, Ordering::SeqCst);
    let line = app
        .log
        .then(|| format!("{} {}", request.method(), request.uri().path()));
    let response = next.run(request).await;
    if let (Some(line), Some(Cause(cause))) = (line, response.extensions().get::<Cause>()) {
        let status = response.status().as_u16();
        // Standard error may have no reader.
        let _ = writeln!(io::stderr(), "{line}: {status}: {cause}");
    }
    response
}
