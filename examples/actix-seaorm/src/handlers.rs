//! The routes.

use std::sync::Arc;

use actix_web::{HttpResponse, get, put, web};
use cache_kit::backend::AnyBackend;
use cache_kit::observability::CacheStatus;
use cache_kit::{CacheService, CacheStrategy, CachedRepository, Outcome};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::customer::Model;
use crate::error::ApiError;
use crate::repository::{Customers, NewCustomer};

/// What the handlers of all workers share.
pub struct AppState {
    pub cache: CacheService<AnyBackend>,
    pub customers: CachedRepository<Model>,
    pub database: Customers,
    /// The writes that have begun. They go on without their clients.
    pub writes: TaskTracker,
    /// The runtime of `main`. Each worker of Actix has one of its own, which ends before.
    pub runtime: Handle,
}

type State = web::Data<AppState>;

pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(read)
        .service(list)
        .service(write)
        .service(live)
        .service(ready);
}

#[get("/customers/{id}")]
async fn read(state: State, id: web::Path<i32>) -> Result<HttpResponse, ApiError> {
    let (customer, outcome) = state.customers.get(&id).with_outcome().await?;
    Ok(answer(customer.as_deref(), outcome))
}

#[derive(Deserialize)]
struct Ids {
    ids: String,
}

/// `?ids=1,2,3`: one look-up, and at most one query, for all of them. In the order of the ids, with null
/// where there is no customer.
#[get("/customers")]
async fn list(state: State, query: web::Query<Ids>) -> Result<HttpResponse, ApiError> {
    let ids = query
        .ids
        .split(',')
        .map(str::parse)
        .collect::<Result<Vec<i32>, _>>();
    let ids = ids
        .ok()
        .filter(|ids| ids.len() <= 200)
        .ok_or(ApiError::Ids)?;
    let found = state.customers.get_many(&ids).with_outcome().await?;
    let hits = found.iter().filter(|(_, outcome)| outcome.is_hit()).count();
    let customers: Vec<Option<&Model>> = found.iter().map(|(row, _)| row.as_deref()).collect();
    let told = ("x-cache-hits", format!("{hits} of {}", ids.len()));
    Ok(HttpResponse::Ok().insert_header(told).json(customers))
}

/// Web servers drop a handler when its client hangs up. So the write has a task of its own: between
/// commit and invalidation nothing may drop it.
#[put("/customers/{id}")]
async fn write(
    state: State,
    id: web::Path<i32>,
    new: web::Json<NewCustomer>,
) -> Result<HttpResponse, ApiError> {
    let write = commit_and_invalidate(state.clone(), id.into_inner(), new.into_inner());
    let (customer, outcome) = state.writes.spawn_on(write, &state.runtime).await??;
    Ok(answer(customer.as_deref(), outcome))
}

/// In this order: in the other one, a reader in between would put the old row back.
async fn commit_and_invalidate(
    state: State,
    id: i32,
    new: NewCustomer,
) -> Result<(Option<Arc<Model>>, Outcome), ApiError> {
    if let Err(error) = state.database.put(id, new).await {
        // It may be committed all the same, if the connection broke before the answer came.
        state.customers.invalidate(&id).await?;
        return Err(error.into());
    }
    let now = state.customers.get(&id).strategy(CacheStrategy::Invalidate);
    Ok(now.with_outcome().await?)
}

/// 200 with the customer or 404 without, and in `Cache-Status` what the cache did.
fn answer(customer: Option<&Model>, outcome: Outcome) -> HttpResponse {
    let status = outcome.cache_status("customers").to_string();
    let told = (CacheStatus::NAME, status);
    match customer {
        Some(customer) => HttpResponse::Ok().insert_header(told).json(customer),
        None => HttpResponse::NotFound().insert_header(told).finish(),
    }
}

/// Whether the process serves. Restarting it helps against nothing else.
#[get("/health/live")]
async fn live() -> &'static str {
    "live"
}

/// Whether requests should come here. They need the database. Without the cache they only take longer,
/// and it would be away for all instances at once.
#[get("/health/ready")]
async fn ready(state: State) -> Result<&'static str, ApiError> {
    state.database.0.ping().await?;
    Ok(match state.cache.ping().await {
        Ok(()) => "ready",
        // The log says why: an error names hosts.
        Err(_) => "ready, without the cache",
    })
}
