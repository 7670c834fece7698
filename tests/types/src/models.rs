//! What ORMs have in a row.

#![allow(
    unreachable_pub,
    reason = "SeaORM's derive puts its model into public traits"
)]

pub(crate) mod order {
    use sea_orm::entity::prelude::*;
    use serde::{Deserialize, Serialize};

    /// A model as SeaORM generates it.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
    #[sea_orm(table_name = "orders")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub status: Status,
        pub kind: Kind,
        pub address: Address,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
    #[sea_orm(rs_type = "String", db_type = "String(StringLen::None)")]
    #[serde(rename_all = "snake_case")]
    pub enum Status {
        #[sea_orm(string_value = "new")]
        New,
        #[sea_orm(string_value = "paid")]
        Paid,
    }

    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
    #[sea_orm(rs_type = "i32", db_type = "Integer")]
    pub enum Kind {
        #[sea_orm(num_value = 1)]
        Small,
        #[sea_orm(num_value = 2)]
        Large,
    }

    /// A column of JSON with a type.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, sea_orm::FromJsonQueryResult)]
    pub struct Address {
        pub city: String,
        pub lines: Vec<String>,
    }

    pub fn sample() -> Model {
        Model {
            id: 7,
            status: Status::Paid,
            kind: Kind::Small,
            address: address(),
        }
    }

    pub fn address() -> Address {
        Address {
            city: "Bern".to_owned(),
            lines: vec!["a".to_owned()],
        }
    }
}

pub(crate) mod event {
    use sea_orm::entity::prelude::*;
    use serde::{Deserialize, Serialize};

    /// A model with a column of JSON without a type.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
    #[sea_orm(table_name = "events")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        #[serde(with = "cache_kit::serde::json")]
        pub payload: Json,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
