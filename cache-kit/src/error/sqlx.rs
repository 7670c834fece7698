//! The errors of SQLx, for `?` in a repository.

use super::Error;

crate::repository_error!(fn failed(sqlx));

/// For `?` in a repository over SQLx 0.8: [`Error::repository`], or [`Error::repository_permanent`] where
/// trying again cannot help.
///
/// Retryable are failures of the connection and the pool, deadlocks, serialization failures, locks and
/// servers that are busy or shutting down. Permanent are rows and columns that are missing or do not decode,
/// violated constraints, and queries that the database refuses.
impl From<::sqlx::Error> for Error {
    fn from(error: ::sqlx::Error) -> Self {
        failed(error)
    }
}
