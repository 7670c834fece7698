//! [`Item`]: a row of the table, and an entry of the cache.

use cache_kit::CacheEntity;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use serde::{Deserialize, Serialize};

diesel::table! {
    items (sku) {
        sku -> Text,
        name -> Text,
        stock -> BigInt,
    }
}

/// Kept under `items:sku-1`, by the name of the table, for up to 10 minutes. That there is no item of a
/// number is remembered for 30 seconds.
#[derive(
    Clone,
    Debug,
    Queryable,
    Selectable,
    Insertable,
    AsChangeset,
    Serialize,
    Deserialize,
    CacheEntity,
)]
#[diesel(table_name = items, check_for_backend(Sqlite))]
#[cache(key = "sku", ttl = "10m", jitter = "10%", negative_ttl = "30s")]
pub struct Item {
    pub sku: String,
    pub name: String,
    pub stock: i64,
}
