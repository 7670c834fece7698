//! [`Answer`]: an airport, or its absence, and the source of the answer.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use cache_kit::observability::Degraded;
use cache_kit::{Outcome, Source};
use serde_json::json;

use crate::entity::Airport;

/// Where the answer came from: `hit`, `loaded`, `shared`, `stale` or `none`.
pub(crate) const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
/// How many airports of a list the cache had.
pub(crate) const X_CACHE_HITS: HeaderName = HeaderName::from_static("x-cache-hits");
/// How old a cached answer is, in milliseconds.
pub(crate) const X_CACHE_AGE: HeaderName = HeaderName::from_static("x-cache-age");
/// The failures that the call worked around: `read`, `store`, `invalidation-pending`, separated by
/// commas. Absent if there was none.
pub(crate) const X_CACHE_DEGRADED: HeaderName = HeaderName::from_static("x-cache-degraded");
/// How long the call of the cache took: `lookup;dur=0.012`, in milliseconds.
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The word of `x-cache-degraded` for a change that other processes may not see yet.
pub(crate) const PENDING: &str = "invalidation-pending";

/// The source of an answer, as in `x-cache`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The cache had it.
    Hit,
    /// This request loaded it from the database.
    Loaded,
    /// Another request was loading it; this one waited for the same row.
    Shared,
    /// The cache had it, after its time to live.
    Stale,
    /// It was not cached and could not be loaded.
    None,
}

impl Origin {
    const ALL: [Self; 5] = [
        Self::Hit,
        Self::Loaded,
        Self::Shared,
        Self::Stale,
        Self::None,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Loaded => "loaded",
            Self::Shared => "shared",
            Self::Stale => "stale",
            Self::None => "none",
        }
    }
}

impl From<&Outcome> for Origin {
    fn from(outcome: &Outcome) -> Self {
        match outcome.source() {
            Source::Cache if outcome.is_stale() => Self::Stale,
            Source::Cache => Self::Hit,
            Source::Repository => Self::Loaded,
            Source::Shared => Self::Shared,
            _ => Self::None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Origin {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|origin| origin.name() == name)
            .ok_or(())
    }
}

/// Sets a header with the failures that the call worked around, if any.
pub(crate) fn tell_degraded(headers: &mut HeaderMap, degraded: Degraded) {
    let parts = [
        (degraded.read, "read"),
        (degraded.store, "store"),
        (degraded.invalidation_pending, PENDING),
        (degraded.repository, "repository"),
    ];
    let told: Vec<&str> = parts
        .into_iter()
        .filter_map(|(is_so, name)| is_so.then_some(name))
        .collect();
    if let Ok(told) = HeaderValue::try_from(told.join(", "))
        && !told.is_empty()
    {
        headers.insert(X_CACHE_DEGRADED, told);
    }
}

/// The cache's answer: 200 with the airport, or 404.
#[derive(Debug)]
pub(crate) struct Answer {
    airport: Option<Arc<Airport>>,
    origin: Origin,
    age: Option<Duration>,
    degraded: Degraded,
    took: Duration,
}

impl Answer {
    pub(crate) fn new(airport: Option<Arc<Airport>>, outcome: &Outcome, took: Duration) -> Self {
        Self {
            airport,
            origin: Origin::from(outcome),
            age: outcome.age(),
            degraded: outcome.degraded(),
            took,
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = match &self.airport {
            Some(airport) => Json(&**airport).into_response(),
            None => {
                let body = json!({ "error": "there is no such airport" });
                (StatusCode::NOT_FOUND, Json(body)).into_response()
            }
        };
        let headers = response.headers_mut();
        headers.insert(X_CACHE, HeaderValue::from_static(self.origin.name()));
        if let Some(age) = self.age {
            let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            headers.insert(X_CACHE_AGE, HeaderValue::from(millis));
        }
        tell_degraded(headers, self.degraded);
        tell_time(headers, self.took);
        response
    }
}

fn tell_time(headers: &mut HeaderMap, took: Duration) {
    let timing = format!("lookup;dur={:.4}", took.as_secs_f64() * 1e3);
    if let Ok(timing) = HeaderValue::try_from(timing) {
        headers.insert(SERVER_TIMING, timing);
    }
}

/// The cache's answer to a request for many airports: a list in the order of the request, with null
/// for an airport that there is not.
#[derive(Debug)]
pub(crate) struct Answers {
    airports: Vec<Option<Arc<Airport>>>,
    /// `Hit` if the cache had all of them, otherwise that of the first which it had not.
    origin: Origin,
    hits: usize,
    degraded: Degraded,
    took: Duration,
}

impl Answers {
    pub(crate) fn new(
        airports: Vec<Option<Arc<Airport>>>,
        outcomes: &[Outcome],
        took: Duration,
    ) -> Self {
        let mut degraded = Degraded::default();
        for more in outcomes.iter().map(Outcome::degraded) {
            degraded.read |= more.read;
            degraded.store |= more.store;
            degraded.invalidation_pending |= more.invalidation_pending;
            degraded.repository |= more.repository;
        }
        let origins = || outcomes.iter().map(Origin::from);
        let missed = origins().find(|origin| *origin != Origin::Hit);
        Self {
            airports,
            origin: missed.unwrap_or(Origin::Hit),
            hits: origins().filter(|origin| *origin == Origin::Hit).count(),
            degraded,
            took,
        }
    }
}

impl IntoResponse for Answers {
    fn into_response(self) -> Response {
        let airports: Vec<_> = self.airports.iter().map(Option::as_deref).collect();
        let mut response = Json(airports).into_response();
        let headers = response.headers_mut();
        headers.insert(X_CACHE, HeaderValue::from_static(self.origin.name()));
        headers.insert(X_CACHE_HITS, HeaderValue::from(self.hits));
        tell_degraded(headers, self.degraded);
        tell_time(headers, self.took);
        response
    }
}
