//! [`AirportRepository`]: the only place with SQL about airports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_kit::repository::in_order;
use cache_kit::{DataRepository, Error};
use serde::{Deserialize, Serialize};
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqlitePool};

use crate::entity::{Airport, AirportChange};
use crate::faults::{Faults, Statement};

/// Airports in the database. Clones share the pool, the counters and the faults.
#[derive(Debug, Clone)]
pub(crate) struct AirportRepository {
    pool: SqlitePool,
    counters: Arc<Counters>,
    faults: Faults,
}

#[derive(Debug, Default)]
struct Counters {
    reads: AtomicU64,
    writes: AtomicU64,
    failed: AtomicU64,
}

/// How many statements were sent to the database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Statements {
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    /// How many of the reads and writes failed.
    pub(crate) failed: u64,
}

impl AirportRepository {
    pub(crate) fn new(pool: SqlitePool) -> Self {
        Self {
            pool,
            counters: Arc::default(),
            faults: Faults::default(),
        }
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(crate) fn statements(&self) -> Statements {
        Statements {
            reads: self.counters.reads.load(Ordering::Relaxed),
            writes: self.counters.writes.load(Ordering::Relaxed),
            failed: self.counters.failed.load(Ordering::Relaxed),
        }
    }

    async fn load(&self, icao: &str) -> Result<Option<Airport>, sqlx::Error> {
        self.counters.reads.fetch_add(1, Ordering::Relaxed);
        self.faults.before_statement()?;
        let row = sqlx::query_as(
            "SELECT icao, iata, name, city, country, elevation, lat, lon, tz \
             FROM airports WHERE icao = ?1",
        )
        .bind(icao)
        .fetch_optional(&self.pool)
        .await?;
        self.faults.after(Statement::Read).await;
        Ok(row)
    }

    async fn load_many(&self, icaos: &[String]) -> Result<Vec<Airport>, sqlx::Error> {
        self.counters.reads.fetch_add(1, Ordering::Relaxed);
        self.faults.before_statement()?;
        let marks = vec!["?"; icaos.len()].join(", ");
        let sql = format!(
            "SELECT icao, iata, name, city, country, elevation, lat, lon, tz \
             FROM airports WHERE icao IN ({marks})"
        );
        let query = icaos
            .iter()
            .fold(sqlx::query_as(&sql), |query, icao| query.bind(icao));
        let rows = query.fetch_all(&self.pool).await?;
        self.faults.after(Statement::Read).await;
        Ok(rows)
    }

    /// Changes a row and commits; `false` if there is no such row.
    pub(crate) async fn update(
        &self,
        icao: &str,
        change: &AirportChange,
    ) -> Result<bool, sqlx::Error> {
        let statement = sqlx::query(
            "UPDATE airports SET name = COALESCE(?2, name), city = COALESCE(?3, city), \
             elevation = COALESCE(?4, elevation) WHERE icao = ?1",
        )
        .bind(icao)
        .bind(change.name.as_deref())
        .bind(change.city.as_deref())
        .bind(change.elevation);
        self.write(statement).await
    }

    /// Deletes a row and commits; `false` if there is no such row.
    pub(crate) async fn delete(&self, icao: &str) -> Result<bool, sqlx::Error> {
        self.write(sqlx::query("DELETE FROM airports WHERE icao = ?1").bind(icao))
            .await
    }

    /// A single statement is a transaction of its own: when it returns, it is committed.
    async fn write<'q>(
        &self,
        statement: Query<'q, Sqlite, SqliteArguments<'q>>,
    ) -> Result<bool, sqlx::Error> {
        self.counters.writes.fetch_add(1, Ordering::Relaxed);
        let written = match self.faults.before_statement() {
            Ok(()) => statement.execute(&self.pool).await,
            Err(error) => Err(error),
        };
        self.count_failure(&written);
        let changed = written?.rows_affected() > 0;
        self.faults.after(Statement::Write).await;
        Ok(changed)
    }

    fn count_failure<T>(&self, result: &Result<T, sqlx::Error>) {
        if result.is_err() {
            self.counters.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl DataRepository<Airport> for AirportRepository {
    async fn fetch_by_id(&self, icao: &String) -> cache_kit::Result<Option<Airport>> {
        let row = self.load(icao).await;
        self.count_failure(&row);
        row.map_err(Error::repository)
    }

    async fn fetch_by_ids(&self, icaos: &[String]) -> cache_kit::Result<Vec<Option<Airport>>> {
        let rows = self.load_many(icaos).await;
        self.count_failure(&rows);
        let rows = rows.map_err(Error::repository)?;
        Ok(in_order(icaos, rows))
    }
}

/// Whether a write that failed with `error` may have been committed, for example because the
/// connection broke before the answer arrived.
pub(crate) fn may_be_committed(error: &sqlx::Error) -> bool {
    !matches!(
        error,
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Database(_)
    )
}
