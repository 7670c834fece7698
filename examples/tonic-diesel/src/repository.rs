//! [`Items`]: items in the database. Diesel blocks, so every query runs on a thread that may.

use std::time::Duration;

use cache_kit::DataRepository;
use cache_kit::repository::in_order;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool, PoolError};
use tokio::task::{JoinError, spawn_blocking};

use crate::item::{Item, items};

/// Clones share one pool.
#[derive(Clone)]
pub struct Items {
    pool: Pool<ConnectionManager<SqliteConnection>>,
}

#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("no connection")]
    Connection(#[from] PoolError),
    #[error("query")]
    Query(#[from] diesel::result::Error),
    /// The query panicked.
    #[error("task")]
    Task(#[from] JoinError),
}

// The error of a query, as the cache takes it.
cache_kit::repository_error!(fn failed(diesel));

impl From<DatabaseError> for cache_kit::Error {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Query(error) => failed(error),
            error => Self::repository(error),
        }
    }
}

impl Items {
    /// Opens the database and creates its tables.
    pub fn open(url: &str) -> Result<Self, DatabaseError> {
        let pool = Pool::builder()
            // As many queries run at a time; others wait for a connection, in a thread each.
            .max_size(4)
            // A query that has begun cannot be cancelled. So it waits no longer than its caller would:
            // cache-kit gives up a load after 8 s.
            .connection_timeout(Duration::from_secs(5))
            .connection_customizer(Box::new(Patient))
            .build(ConnectionManager::new(url))?;
        pool.get()?.batch_execute(include_str!("../schema.sql"))?;
        Ok(Self { pool })
    }

    /// Creates or replaces an item. A single statement is a transaction of its own: when this returns,
    /// it is committed.
    pub async fn put(&self, item: Item) -> Result<(), DatabaseError> {
        self.run(move |database| {
            diesel::insert_into(items::table)
                .values(&item)
                .on_conflict(items::sku)
                .do_update()
                .set(&item)
                .execute(database)
        })
        .await?;
        Ok(())
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), DatabaseError> {
        self.run(|database| database.batch_execute("SELECT 1"))
            .await
    }

    async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let pool = self.pool.clone();
        spawn_blocking(move || Ok(query(&mut *pool.get()?)?)).await?
    }
}

impl DataRepository<Item> for Items {
    async fn fetch_by_id(&self, sku: &String) -> cache_kit::Result<Option<Item>> {
        let sku = sku.clone();
        let query = move |database: &mut SqliteConnection| {
            let found = items::table.find(sku).select(Item::as_select());
            found.first(database).optional()
        };
        Ok(self.run(query).await?)
    }

    /// One query for many keys. The database answers in any order, and leaves out what it does not have.
    async fn fetch_by_ids(&self, skus: &[String]) -> cache_kit::Result<Vec<Option<Item>>> {
        let wanted = skus.to_vec();
        let query = move |database: &mut SqliteConnection| {
            let found = items::table.filter(items::sku.eq_any(wanted));
            found.select(Item::as_select()).load(database)
        };
        let found = self.run(query).await?;
        Ok(in_order(skus, found))
    }
}

/// Lets a connection wait for another one that writes. By default SQLite fails at once.
#[derive(Debug)]
struct Patient;

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for Patient {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> Result<(), diesel::r2d2::Error> {
        connection
            .batch_execute("PRAGMA busy_timeout = 5000")
            .map_err(diesel::r2d2::Error::QueryError)
    }
}
