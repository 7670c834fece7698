//! The errors of SQLx, for `?` in a repository.

use sqlx_core::Error as SqlxError;
use sqlx_core::error::{DatabaseError, ErrorKind};

use super::Error;

/// For `?` in a repository over SQLx 0.8: [`Error::repository`], or [`Error::repository_permanent`] where
/// trying again cannot help.
///
/// Retryable are failures of the connection and the pool, deadlocks, serialization failures, locks and
/// servers that are busy or shutting down. Permanent are rows and columns that are missing or do not decode,
/// violated constraints, and queries that the database refuses.
impl From<SqlxError> for Error {
    fn from(error: SqlxError) -> Self {
        Self::repository_if(is_retryable(&error), error)
    }
}

fn is_retryable(error: &SqlxError) -> bool {
    match error {
        SqlxError::Database(error) => may_pass(&**error),
        SqlxError::Configuration(_)
        | SqlxError::InvalidArgument(_)
        | SqlxError::RowNotFound
        | SqlxError::TypeNotFound { .. }
        | SqlxError::ColumnIndexOutOfBounds { .. }
        | SqlxError::ColumnNotFound(_)
        | SqlxError::ColumnDecode { .. }
        | SqlxError::Encode(_)
        | SqlxError::Decode(_)
        | SqlxError::AnyDriverError(_)
        | SqlxError::InvalidSavePointStatement => false,
        // `Io`, `Tls`, `Protocol`, `PoolTimedOut`, `PoolClosed`, `WorkerCrashed`, `BeginFailed`, and what
        // a later SQLx adds: the next try has another connection.
        _ => true,
    }
}

/// Whether what the database said may pass.
fn may_pass(error: &dyn DatabaseError) -> bool {
    match error.kind() {
        ErrorKind::UniqueViolation
        | ErrorKind::ForeignKeyViolation
        | ErrorKind::NotNullViolation
        | ErrorKind::CheckViolation => false,
        _ => error.code().is_none_or(|code| code_may_pass(&code)),
    }
}

/// Whether the state of this code may pass: a SQLSTATE, which has five characters, or a code of SQLite.
fn code_may_pass(code: &str) -> bool {
    if let Ok(sqlite) = code.parse::<u16>()
        && code.len() < 5
    {
        // An extended code has more in its high bits. PERM to CANTOPEN that pass: ABORT, BUSY, LOCKED,
        // NOMEM, INTERRUPT, IOERR, FULL, CANTOPEN; and PROTOCOL.
        return matches!(sqlite & 0xff, 4 | 5 | 6 | 7 | 9 | 10 | 13 | 14 | 15);
    }
    let class = code.get(..2).unwrap_or_default();
    match class {
        // Connection, rollback of a transaction, resources, intervention of an operator, system; and
        // MySQL's own class for everything without a code, a lock that was waited for too long among it.
        "08" | "40" | "53" | "57" | "58" | "HY" => true,
        // A lock that is not available.
        _ => code == "55P03",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_retryable() {
        for code in [
            "40001", "40P01", "08006", "08S01", "53300", "57014", "57P01", "57P03", "58030",
            "55P03", "HY000", "5", "6", "261", "517", "522", "10", "266", "13", "14",
        ] {
            assert!(code_may_pass(code), "{code}");
        }
        for code in [
            "23505", "42601", "42P01", "42S02", "22003", "22P02", "0A000", "28P01", "3D000",
            "25006", "1", "8", "19", "2067", "1555", "20", "26", "", "x", "äöü",
        ] {
            assert!(!code_may_pass(code), "{code}");
        }
    }
}
