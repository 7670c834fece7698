//! [`ApiError`]: why a request failed.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::task::JoinError;

#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A load failed; or the cache did, where that matters: an invalidation that cannot wait.
    #[error("cache")]
    Cache(#[from] cache_kit::Error),
    #[error("database")]
    Database(#[from] sqlx::Error),
    /// The task of a write panicked.
    #[error("write")]
    Write(#[from] JoinError),
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            // The database or the store does not answer, or not in time.
            Self::Cache(error) if error.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Database(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Cache(_) | Self::Write(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The cause goes to the log, and only the status to the client.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        tracing::error!("request failed: {self:?}");
        self.status().into_response()
    }
}
