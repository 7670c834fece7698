//! [`ApiError`]: why a request failed.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use sea_orm::DbErr;
use tokio::task::JoinError;

#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("ids: 1 to 200 numbers, with commas between them")]
    Ids,
    /// A load failed; or the cache did, where that matters: an invalidation that cannot wait.
    #[error("cache")]
    Cache(#[from] cache_kit::Error),
    #[error("database")]
    Database(#[from] DbErr),
    /// The task of a write panicked.
    #[error("write")]
    Write(#[from] JoinError),
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Ids => StatusCode::BAD_REQUEST,
            // The database or the store does not answer, or not in time.
            Self::Cache(error) if error.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Database(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Cache(_) | Self::Write(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The cause of a 5xx goes to the log, and only the status to the client.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Self::Ids = self {
            return response.body(self.to_string());
        }
        tracing::error!("request failed: {self:?}");
        response.finish()
    }
}
