//! The routes.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use cache_kit::backend::InMemoryBackend;
use cache_kit::{CacheService, CacheStrategy};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::entity::{Airport, AirportChange, GetAirport, NotIcao};
use crate::error::{ApiError, Cause};
use crate::repository::{AirportRepository, may_be_committed};

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct App {
    cache: CacheService<InMemoryBackend>,
    airports: AirportRepository,
    requests: Arc<AtomicU64>,
    log: bool,
}

impl App {
    /// With `log`, what is behind a 5xx is written to standard error.
    pub(crate) fn new(airports: AirportRepository, log: bool) -> Self {
        let backend = InMemoryBackend::builder().max_entries(20_000).build();
        Self {
            cache: CacheService::new(backend),
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
            .route(
                "/airports/{icao}",
                get(read_airport).put(change_airport).delete(delete_airport),
            )
            .route("/stats", get(stats))
            .route("/healthz", get(healthz))
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

    /// Makes a write, then tells the cache: after the commit and not before, else a reader in
    /// between would put the old row back.
    async fn write(self, request: GetAirport, write: Write) -> Result<Answer, ApiError> {
        let written = match &write {
            Write::Change(change) => self.airports.update(&request.icao, change).await,
            Write::Delete => self.airports.delete(&request.icao).await,
        };
        match written {
            Err(error) if !may_be_committed(&error) => Err(ApiError::Database(error)),
            Err(error) => {
                self.cache.invalidate::<Airport>(&request.icao).await?;
                Err(ApiError::Database(error))
            }
            Ok(_) => self.ask(request, CacheStrategy::Invalidate).await,
        }
    }

    /// Runs a write to its end even if the client hangs up: a dropped handler would leave a
    /// committed row without its invalidation.
    async fn write_detached(self, request: GetAirport, write: Write) -> Result<Answer, ApiError> {
        let writing = tokio::spawn(self.write(request, write));
        writing.await.unwrap_or(Err(ApiError::Broken))
    }
}

enum Write {
    Change(AirportChange),
    Delete,
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

async fn change_airport(
    State(app): State<App>,
    id: Id,
    body: Result<Json<AirportChange>, JsonRejection>,
) -> Result<Answer, ApiError> {
    let request = parse(id)?;
    let Json(change) = body?;
    change.check().map_err(ApiError::Change)?;
    app.write_detached(request, Write::Change(change)).await
}

/// Deleting what isn't there is no error: afterwards it is gone either way.
async fn delete_airport(State(app): State<App>, id: Id) -> Result<StatusCode, ApiError> {
    let request = parse(id)?;
    app.write_detached(request, Write::Delete).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn stats(State(app): State<App>) -> Json<Value> {
    let cache = app.cache.backend().stats();
    Json(json!({
        "requests": app.requests(),
        "database": app.airports.statements(),
        "cache": {
            "hits": cache.hits,
            "misses": cache.misses,
            "hit_ratio": cache.hit_ratio(),
            "stores": cache.stores,
            "fenced": cache.fenced,
            "evictions": cache.evictions,
            "invalidations": cache.invalidations,
        },
    }))
}

/// Says that the process serves, not that the database does: cached airports are answered
/// without it, and a restart would throw them away.
async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    app.requests.fetch_add(1, Ordering::SeqCst);
    let line = app
        .log
        .then(|| format!("{} {}", request.method(), request.uri().path()));
    let response = next.run(request).await;
    if let (Some(line), Some(Cause(cause))) = (line, response.extensions().get::<Cause>()) {
        let status = response.status().as_u16();
        // Nobody may be reading it.
        let _ = writeln!(io::stderr(), "{line}: {status}: {cause}");
    }
    response
}
