//! [`Model`]: a row of the table, an entry of the cache, and the JSON of an answer.

use cache_kit::CacheEntity;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// Kept under `customers:1`, by the name of the table, for up to 10 minutes. That there is no customer 4
/// is remembered for 30 seconds.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize, CacheEntity)]
#[sea_orm(table_name = "customers")]
#[cache(key = "id", ttl = "10m", jitter = "10%", negative_ttl = "30s")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    pub name: String,
    pub email: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
