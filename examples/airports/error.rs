//! [`ApiError`]: every failed request, as JSON with a status.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cache_kit::ErrorKind;
use serde_json::json;

use crate::entity::NotIcao;

/// Why a request failed. The client gets fixed text: never a value of a row, a piece of SQL or the
/// address of a database.
#[derive(Debug)]
pub(crate) enum ApiError {
    NotIcao,
    /// The body is not the JSON of a change.
    Body(JsonRejection),
    /// The change is well formed but not valid.
    Change(&'static str),
    NoRoute,
    Method,
    Cache(cache_kit::Error),
    /// The cache does not answer a readiness probe.
    NotReady(cache_kit::Error),
    Database(sqlx::Error),
    /// One of our tasks ended without an answer.
    Broken,
}

/// The cause of a 5xx, for the log and not for the client.
#[derive(Debug, Clone)]
pub(crate) struct Cause(pub(crate) Arc<str>);

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotIcao => StatusCode::BAD_REQUEST,
            Self::Body(rejection) => rejection.status(),
            Self::Change(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Cache(error) => match error.kind() {
                ErrorKind::Validation => StatusCode::BAD_REQUEST,
                ErrorKind::Repository | ErrorKind::Backend | ErrorKind::Timeout => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::NotReady(_) | Self::Database(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn message(&self) -> &'static str {
        match self {
            Self::NotIcao => {
                "an airport's id is its ICAO code: four letters; ?icao= takes 1 to 200"
            }
            Self::Body(JsonRejection::JsonSyntaxError(_)) => "the body is not JSON",
            Self::Body(JsonRejection::JsonDataError(_)) => {
                "the body may have name, city (texts) and elevation (a number), nothing else"
            }
            Self::Body(JsonRejection::MissingJsonContentType(_)) => {
                "the body must be sent as content-type: application/json"
            }
            Self::Body(_) => "the body could not be read",
            Self::Change(problem) => problem,
            Self::NoRoute => "there is nothing at this path",
            Self::Method => "this path does not have that method",
            Self::Cache(error) if error.kind() == ErrorKind::Validation => {
                "the request was refused"
            }
            // An update whose invalidation could neither be made nor queued.
            Self::Cache(error) if error.kind() == ErrorKind::Backend => "the cache is unavailable",
            Self::NotReady(_) => "the cache does not answer",
            Self::Cache(_) | Self::Database(_)
                if self.status() == StatusCode::SERVICE_UNAVAILABLE =>
            {
                "the database is unavailable"
            }
            Self::Cache(_) | Self::Database(_) | Self::Broken => "something broke on our side",
        }
    }

    fn cause(&self) -> Option<Cause> {
        let text = match self {
            Self::Cache(error) | Self::NotReady(error) => format!("{error:?}"),
            Self::Database(error) => error.to_string(),
            Self::Broken => "a write did not end".into(),
            _ => return None,
        };
        Some(Cause(text.into()))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.message() }));
        let mut response = (self.status(), body).into_response();
        if let Some(cause) = self.cause() {
            response.extensions_mut().insert(cause);
        }
        response
    }
}

impl From<NotIcao> for ApiError {
    fn from(_: NotIcao) -> Self {
        Self::NotIcao
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        Self::Body(rejection)
    }
}

impl From<cache_kit::Error> for ApiError {
    fn from(error: cache_kit::Error) -> Self {
        Self::Cache(error)
    }
}
