//! What the errors of SQLx, SeaORM and Diesel become: which of them are worth another try, and that the
//! original is kept.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a failed expectation is what a test is for"
)]

use std::error::Error as _;
use std::time::Duration;

use cache_kit::{Error, ErrorKind};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use sea_orm::{DbErr, RuntimeErr};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePoolOptions};
use sqlx::{ConnectOptions, Connection, Row, SqlitePool};
use tempfile::TempDir;

cache_kit::repository_error!(fn by_name(sqlx));
cache_kit::repository_error!(fn of_sea_orm(sea_orm));
cache_kit::repository_error!(pub(crate) fn of_diesel(diesel));

#[track_caller]
fn is(error: &Error, retryable: bool) {
    assert_eq!(error.kind(), ErrorKind::Repository);
    assert_eq!(error.is_retryable(), retryable, "{error:?}");
    assert!(error.source().is_some(), "{error:?}");
}

/// What `?` makes of the result.
#[track_caller]
fn of_sqlx<T>(result: Result<T, sqlx::Error>) -> Error {
    let converted = (|| {
        result?;
        Ok::<(), Error>(())
    })();
    let error = converted.unwrap_err();
    let kept = error
        .source()
        .is_some_and(|source| source.is::<sqlx::Error>());
    assert!(kept, "{error:?}");
    error
}

async fn database() -> (SqlitePool, TempDir) {
    let room = TempDir::new().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(room.path().join("users.db"))
        .create_if_missing(true)
        .busy_timeout(Duration::ZERO);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_millis(50))
        .connect_with(options)
        .await
        .unwrap();
    sqlx::query("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("INSERT INTO users VALUES (1, 'Ann')")
        .execute(&pool)
        .await
        .unwrap();
    (pool, room)
}

#[tokio::test]
async fn sqlx_with_a_real_database() {
    let (pool, room) = database().await;
    let query = |text: &'static str| sqlx::query(text);
    for permanent in [
        "INSERT INTO users VALUES (1, 'Bea')",
        "INSERT INTO users VALUES (2, NULL)",
        "SELECT nothing FROM users",
        "SELEKT",
    ] {
        is(&of_sqlx(query(permanent).execute(&pool).await), false);
    }
    let none = query("SELECT * FROM users WHERE id = 9")
        .fetch_one(&pool)
        .await;
    is(&of_sqlx(none), false);
    let row = query("SELECT name FROM users")
        .fetch_one(&pool)
        .await
        .unwrap();
    is(&of_sqlx(row.try_get::<i64, _>("name")), false);
    is(&of_sqlx(row.try_get::<String, _>("id")), false);

    // Another connection writes.
    let options = SqliteConnectOptions::new().filename(room.path().join("users.db"));
    let mut other: SqliteConnection = options.connect().await.unwrap();
    query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let busy = query("UPDATE users SET name = 'Bea'").execute(&pool).await;
    is(&of_sqlx(busy), true);
    other.close().await.unwrap();

    let held = pool.acquire().await.unwrap();
    is(&of_sqlx(pool.acquire().await), true);
    drop(held);
    pool.close().await;
    is(&of_sqlx(pool.acquire().await), true);
}

#[test]
fn sqlx_by_hand() {
    let boxed = || std::io::Error::other("no").into();
    for (error, retryable) in [
        (sqlx::Error::Io(std::io::Error::other("reset")), true),
        (sqlx::Error::Tls(boxed()), true),
        (sqlx::Error::Protocol("half a message".into()), true),
        (sqlx::Error::WorkerCrashed, true),
        (sqlx::Error::BeginFailed, true),
        (sqlx::Error::Configuration(boxed()), false),
        (sqlx::Error::Decode(boxed()), false),
        (sqlx::Error::Encode(boxed()), false),
        (sqlx::Error::ColumnNotFound("name".into()), false),
    ] {
        is(&of_sqlx(Err::<(), _>(error)), retryable);
    }
    // By the macro, which knows every version of SQLx.
    is(&by_name(sqlx::Error::PoolTimedOut), true);
    is(&by_name(sqlx::Error::RowNotFound), false);
}

#[test]
fn sea_orm() {
    let internal = || RuntimeErr::Internal("no".into());
    for (error, retryable) in [
        (DbErr::Conn(internal()), true),
        (DbErr::Query(internal()), true),
        (DbErr::Exec(internal()), true),
        (
            DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout),
            true,
        ),
        (DbErr::RecordNotFound("user".into()), false),
        (DbErr::Type("not a number".into()), false),
        (DbErr::Json("not a map".into()), false),
        (DbErr::Custom("mine".into()), false),
        (DbErr::RecordNotUpdated, false),
    ] {
        let error = of_sea_orm(error);
        is(&error, retryable);
        assert!(error.source().unwrap().is::<DbErr>());
    }
}

#[test]
fn diesel() {
    let database = |kind| DieselError::DatabaseError(kind, Box::new("no".to_owned()));
    for (error, retryable) in [
        (database(DatabaseErrorKind::SerializationFailure), true),
        (database(DatabaseErrorKind::ClosedConnection), true),
        (database(DatabaseErrorKind::UnableToSendCommand), true),
        (database(DatabaseErrorKind::UniqueViolation), false),
        (database(DatabaseErrorKind::ForeignKeyViolation), false),
        (database(DatabaseErrorKind::NotNullViolation), false),
        (database(DatabaseErrorKind::CheckViolation), false),
        (database(DatabaseErrorKind::ReadOnlyTransaction), false),
        (DieselError::BrokenTransactionManager, true),
        (DieselError::NotFound, false),
        (DieselError::DeserializationError("no".into()), false),
        (DieselError::RollbackTransaction, false),
    ] {
        let error = of_diesel(error);
        is(&error, retryable);
        assert!(error.source().unwrap().is::<DieselError>());
    }
}
