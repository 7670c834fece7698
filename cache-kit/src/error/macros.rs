//! [`repository_error!`](crate::repository_error): the errors of clients that are not dependencies of
//! this crate.

/// Defines a function that turns the errors of SQLx, SeaORM or Diesel into
/// [`Error::repository`](crate::Error::repository), or
/// [`Error::repository_permanent`](crate::Error::repository_permanent) where trying again cannot help; for
/// `.map_err(…)?` in a repository. It works with the version that your crate depends on; SQLx is 0.8.6 or
/// newer.
///
/// | client | permanent | retryable |
/// |---|---|---|
/// | `sqlx` | rows and columns that are missing or do not decode, violated constraints, queries that the database refuses | connections, the pool, deadlocks, serialization failures, locks, and servers that are busy or shutting down |
/// | `sea_orm` | what was not found or is not set; violated unique and foreign keys | connections, the pool, and every other query that failed, one whose row does not decode among them |
/// | `diesel` | what was not found or does not convert; violated unique and foreign keys, `NOT NULL` and `CHECK`; read-only transactions; misuse of a transaction | connections, serialization failures, and what Diesel does not know by a kind of its own, such as deadlocks and busy databases |
///
/// `cache_kit::repository_error!(pub(crate) fn failed(sea_orm));` makes `failed`, for
/// `user::Entity::find_by_id(*id).one(&self.db).await.map_err(failed)`. The pages
/// [`sea_orm`](crate::guide::sea_orm) and [`diesel`](crate::guide::diesel) of the guide use it in a whole
/// repository.
///
/// For Diesel write `diesel`, and for SQLx `sqlx`. With SQLx 0.8 and the feature `sqlx`, its errors need `?`
/// alone. For other clients, decide by [`Error::repository_if`](crate::Error::repository_if).
#[macro_export]
macro_rules! repository_error {
    ($visible:vis fn $name:ident(sqlx)) => {
        /// The error of a query, for the cache.
        $visible fn $name(error: ::sqlx::Error) -> $crate::Error {
            use ::sqlx::Error;
            use ::sqlx::error::ErrorKind;
            let retryable = match &error {
                Error::Database(error) => match error.kind() {
                    ErrorKind::UniqueViolation
                    | ErrorKind::ForeignKeyViolation
                    | ErrorKind::NotNullViolation
                    | ErrorKind::CheckViolation => false,
                    _ => match error.code() {
                        Some(code) => $crate::__private::code_may_pass(&code),
                        None => true,
                    },
                },
                Error::Configuration(_)
                | Error::InvalidArgument(_)
                | Error::RowNotFound
                | Error::TypeNotFound { .. }
                | Error::ColumnIndexOutOfBounds { .. }
                | Error::ColumnNotFound(_)
                | Error::ColumnDecode { .. }
                | Error::Encode(_)
                | Error::Decode(_)
                | Error::AnyDriverError(_)
                | Error::InvalidSavePointStatement => false,
                // `Io`, `Tls`, `Protocol`, `PoolTimedOut`, `PoolClosed`, `WorkerCrashed`, `BeginFailed`,
                // and what a later SQLx adds: the next try has another connection.
                _ => true,
            };
            $crate::Error::repository_if(retryable, error)
        }
    };
    ($visible:vis fn $name:ident(sea_orm)) => {
        /// The error of a query, for the cache.
        $visible fn $name(error: ::sea_orm::DbErr) -> $crate::Error {
            let retryable = match &error {
                ::sea_orm::DbErr::ConnectionAcquire(_) | ::sea_orm::DbErr::Conn(_) => true,
                ::sea_orm::DbErr::Query(_) | ::sea_orm::DbErr::Exec(_) => {
                    error.sql_err().is_none()
                }
                _ => false,
            };
            $crate::Error::repository_if(retryable, error)
        }
    };
    ($visible:vis fn $name:ident(diesel)) => {
        /// The error of a query, for the cache.
        $visible fn $name(error: ::diesel::result::Error) -> $crate::Error {
            use ::diesel::result::{DatabaseErrorKind, Error};
            let retryable = match &error {
                Error::DatabaseError(kind, _) => !matches!(
                    kind,
                    DatabaseErrorKind::UniqueViolation
                        | DatabaseErrorKind::ForeignKeyViolation
                        | DatabaseErrorKind::NotNullViolation
                        | DatabaseErrorKind::CheckViolation
                        | DatabaseErrorKind::ReadOnlyTransaction
                ),
                Error::BrokenTransactionManager => true,
                _ => false,
            };
            $crate::Error::repository_if(retryable, error)
        }
    };
}
