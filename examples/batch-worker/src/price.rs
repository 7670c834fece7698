//! [`Price`]: a row of the table, and an entry of the cache.

use cache_kit::repository::in_order;
use cache_kit::{CacheEntity, DataRepository};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, QueryBuilder, Sqlite, SqlitePool};

/// Kept under `price:teapot` for up to 10 minutes. That a sku has no price is remembered for 30 seconds.
#[derive(Clone, Debug, Serialize, Deserialize, FromRow, CacheEntity)]
#[cache(
    prefix = "price",
    key = "sku",
    ttl = "10m",
    jitter = "10%",
    negative_ttl = "30s"
)]
pub struct Price {
    pub sku: String,
    pub cents: i64,
}

/// Loads prices.
pub struct Prices(pub SqlitePool);

impl DataRepository<Price> for Prices {
    async fn fetch_by_id(&self, sku: &String) -> cache_kit::Result<Option<Price>> {
        let query = sqlx::query_as("SELECT sku, cents FROM prices WHERE sku = ?").bind(sku);
        Ok(query.fetch_optional(&self.0).await?)
    }

    /// One query for many keys. The database answers in any order, and leaves out what it does not have.
    async fn fetch_by_ids(&self, skus: &[String]) -> cache_kit::Result<Vec<Option<Price>>> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT sku, cents FROM prices WHERE sku IN (");
        let mut marks = query.separated(", ");
        for sku in skus {
            marks.push_bind(sku);
        }
        marks.push_unseparated(")");
        let found = query.build_query_as().fetch_all(&self.0).await?;
        Ok(in_order(skus, found))
    }
}
