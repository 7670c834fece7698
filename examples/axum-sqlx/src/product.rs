//! [`Product`]: a row of the table, an entry of the cache, and the JSON of an answer.

use cache_kit::{CacheEntity, DataRepository};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, SqliteConnection, SqliteExecutor, SqlitePool};
use tokio::sync::Mutex;

/// Kept under `product:1` for up to 10 minutes. That there is no product 4 is remembered for 30 seconds.
#[derive(Clone, Debug, Serialize, Deserialize, FromRow, CacheEntity)]
#[cache(
    prefix = "product",
    key = "id",
    ttl = "10m",
    jitter = "10%",
    negative_ttl = "30s"
)]
pub struct Product {
    pub id: i64,
    pub name: String,
    pub price_cents: i64,
}

/// What a client may write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewProduct {
    pub name: String,
    pub price_cents: i64,
}

/// Loads products over the pool. The cache owns it: see `main.rs`.
pub struct Products(pub SqlitePool);

impl DataRepository<Product> for Products {
    async fn fetch_by_id(&self, id: &i64) -> cache_kit::Result<Option<Product>> {
        find(&self.0, *id).await
    }
}

/// Loads products over one connection, which a handler lends for one call of the cache.
///
/// A repository is shared, and a connection is exclusive: hence the mutex, which is never contended.
pub struct OnConnection<'c>(Mutex<&'c mut SqliteConnection>);

impl<'c> OnConnection<'c> {
    pub fn new(connection: &'c mut SqliteConnection) -> Self {
        Self(Mutex::new(connection))
    }
}

impl DataRepository<Product> for OnConnection<'_> {
    async fn fetch_by_id(&self, id: &i64) -> cache_kit::Result<Option<Product>> {
        find(&mut **self.0.lock().await, *id).await
    }
}

async fn find(database: impl SqliteExecutor<'_>, id: i64) -> cache_kit::Result<Option<Product>> {
    let query = sqlx::query_as("SELECT id, name, price_cents FROM products WHERE id = ?").bind(id);
    Ok(query.fetch_optional(database).await?)
}

/// Creates or replaces a product. A single statement is a transaction of its own: when this returns,
/// it is committed.
pub async fn put(
    connection: &mut SqliteConnection,
    id: i64,
    new: &NewProduct,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO products (id, name, price_cents) VALUES (?1, ?2, ?3) \
         ON CONFLICT (id) DO UPDATE SET name = ?2, price_cents = ?3",
    )
    .bind(id)
    .bind(&new.name)
    .bind(new.price_cents)
    .execute(connection)
    .await?;
    Ok(())
}
