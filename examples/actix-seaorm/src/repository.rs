//! [`Customers`]: customers in the database.

use cache_kit::DataRepository;
use cache_kit::repository::in_order;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter};
use serde::Deserialize;

use crate::customer::{ActiveModel, Column, Entity, Model};

// An error of the database, as the cache takes it.
cache_kit::repository_error!(fn failed(sea_orm));

/// Clones share one pool.
#[derive(Clone)]
pub struct Customers(pub DatabaseConnection);

/// What a client may write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCustomer {
    pub name: String,
    pub email: String,
}

impl DataRepository<Model> for Customers {
    async fn fetch_by_id(&self, id: &i32) -> cache_kit::Result<Option<Model>> {
        let found = Entity::find_by_id(*id).one(&self.0).await;
        found.map_err(failed)
    }

    /// One query for many ids. The database answers in any order, and leaves out what it does not have.
    async fn fetch_by_ids(&self, ids: &[i32]) -> cache_kit::Result<Vec<Option<Model>>> {
        let wanted = Column::Id.is_in(ids.iter().copied());
        let found = Entity::find().filter(wanted).all(&self.0).await;
        Ok(in_order(ids, found.map_err(failed)?))
    }
}

impl Customers {
    /// Creates or replaces a customer. A single statement is a transaction of its own: when this
    /// returns, it is committed.
    pub async fn put(&self, id: i32, new: NewCustomer) -> Result<(), DbErr> {
        let row = ActiveModel {
            id: Set(id),
            name: Set(new.name),
            email: Set(new.email),
        };
        let replace = OnConflict::column(Column::Id)
            .update_columns([Column::Name, Column::Email])
            .to_owned();
        Entity::insert(row)
            .on_conflict(replace)
            .exec(&self.0)
            .await?;
        Ok(())
    }
}
