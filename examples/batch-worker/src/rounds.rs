//! [`Worker`]: what it does in one round. Each step takes a batch of rows, and may be done twice.

use cache_kit::CachedRepository;
use cache_kit::backend::Invalidated;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqlitePool};

use crate::price::Price;

/// How many rows of a table are one batch.
const BATCH: i64 = 100;

pub struct Worker {
    pub prices: CachedRepository<Price>,
    pub pool: SqlitePool,
}

#[derive(FromRow)]
struct Change {
    id: i64,
    sku: String,
    cents: i64,
}

#[derive(FromRow)]
struct Order {
    id: i64,
    sku: String,
    quantity: i64,
}

impl Worker {
    /// Returns whether there was anything to do.
    pub async fn round(&self) -> anyhow::Result<bool> {
        let committed = self.commit_changes().await?;
        let invalidated = self.invalidate_changed().await?;
        let priced = self.price_orders().await?;
        Ok(committed || invalidated || priced)
    }

    /// Writes the new prices, and in the same transaction that they are to be invalidated.
    async fn commit_changes(&self) -> anyhow::Result<bool> {
        // So that two workers do not write the changes of one batch in turns.
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let changes: Vec<Change> = sqlx::query_as(
            "SELECT id, sku, cents FROM price_changes WHERE NOT committed ORDER BY id LIMIT ?",
        )
        .bind(BATCH)
        .fetch_all(&mut *transaction)
        .await?;
        for change in &changes {
            sqlx::query(
                "INSERT INTO prices (sku, cents) VALUES (?1, ?2) \
                 ON CONFLICT (sku) DO UPDATE SET cents = ?2",
            )
            .bind(&change.sku)
            .bind(change.cents)
            .execute(&mut *transaction)
            .await?;
            sqlx::query("UPDATE price_changes SET committed = TRUE WHERE id = ?")
                .bind(change.id)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(!changes.is_empty())
    }

    /// Invalidates what was committed, by this worker or by one that has died since: the rows of the
    /// changes are deleted only now. So no invalidation is lost between two processes.
    async fn invalidate_changed(&self) -> anyhow::Result<bool> {
        let changes: Vec<Change> = sqlx::query_as(
            "SELECT id, sku, cents FROM price_changes WHERE committed ORDER BY id LIMIT ?",
        )
        .bind(BATCH)
        .fetch_all(&self.pool)
        .await?;
        if changes.is_empty() {
            return Ok(false);
        }
        let skus: Vec<String> = changes.iter().map(|change| change.sku.clone()).collect();
        if self.prices.invalidate_many(&skus).await? == Invalidated::Pending {
            // The cache's server is away. This process uses no older price from now on; for the others
            // it is tried again.
            tracing::warn!("{} price changes wait for the cache", changes.len());
            return Ok(false);
        }
        let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM price_changes WHERE id IN (");
        let mut marks = query.separated(", ");
        for change in &changes {
            marks.push_bind(change.id);
        }
        marks.push_unseparated(")");
        query.build().execute(&self.pool).await?;
        println!("prices changed: {}", changes.len());
        Ok(true)
    }

    /// Computes the totals of new orders. Reads all prices of the batch at once: one look-up in the
    /// cache, and one query for those that it does not have.
    async fn price_orders(&self) -> anyhow::Result<bool> {
        let orders: Vec<Order> = sqlx::query_as(
            "SELECT id, sku, quantity FROM orders WHERE total_cents IS NULL ORDER BY id LIMIT ?",
        )
        .bind(BATCH)
        .fetch_all(&self.pool)
        .await?;
        if orders.is_empty() {
            return Ok(false);
        }
        let skus: Vec<String> = orders.iter().map(|order| order.sku.clone()).collect();
        let prices = self.prices.get_many(&skus).with_outcome().await?;
        let hits = prices
            .iter()
            .filter(|(_, outcome)| outcome.is_hit())
            .count();

        let mut transaction = self.pool.begin().await?;
        for (order, (price, _)) in orders.iter().zip(&prices) {
            let total = price
                .as_ref()
                .map_or(-1, |price| price.cents.saturating_mul(order.quantity));
            sqlx::query("UPDATE orders SET total_cents = ?2 WHERE id = ?1 AND total_cents IS NULL")
                .bind(order.id)
                .bind(total)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        println!("priced {} orders, {hits} from the cache", orders.len());
        Ok(true)
    }
}
