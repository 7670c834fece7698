//! [`repository_error!`](crate::repository_error): the errors of clients that are not dependencies of
//! this crate.

/// Defines a function that turns the errors of SeaORM or Diesel into
/// [`Error::repository`](crate::Error::repository), or
/// [`Error::repository_permanent`](crate::Error::repository_permanent) where trying again cannot help; for
/// `.map_err(…)?` in a repository. It works with the version that your crate depends on.
///
/// | client | permanent | retryable |
/// |---|---|---|
/// | `sea_orm` | what was not found or is not set; violated unique and foreign keys | connections, the pool, and every other query that failed, one whose row does not decode among them |
/// | `diesel` | what was not found or does not convert; violated unique and foreign keys, `NOT NULL` and `CHECK`; read-only transactions; misuse of a transaction | connections, serialization failures, and what Diesel does not know by a kind of its own, such as deadlocks and busy databases |
///
/// `cache_kit::repository_error!(pub(crate) fn failed(sea_orm));` makes `failed`, for
/// `user::Entity::find_by_id(*id).one(&self.db).await.map_err(failed)`. The pages
/// [`sea_orm`](crate::guide::sea_orm) and [`diesel`](crate::guide::diesel) of the guide use it in a whole
/// repository.
///
/// With Diesel it is `cache_kit::repository_error!(fn failed(diesel));`. For SQLx, enable the feature `sqlx`:
/// its errors need `?` alone. For other clients, decide by
/// [`Error::repository_if`](crate::Error::repository_if).
#[macro_export]
macro_rules! repository_error {
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
