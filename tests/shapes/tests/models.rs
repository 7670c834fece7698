//! A service over the models of an ORM, in memory and on Redis: its answers are the same, or the
//! first call says what the store cannot keep.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is what a test is for"
)]

use std::fmt::Debug;

use cache_kit::CacheStrategy::{Fresh, Invalidate, Refresh};
use cache_kit::backend::{CacheBackend, InMemoryBackend, RedisBackend, RedisConfig};
use cache_kit::{
    CacheEntity, CacheExpander, CacheService, CacheStrategy, InMemoryRepository, Result,
    SharedFeeder, Source,
};
use cache_kit_shapes::{Stored, Told};
use cache_kit_tests::servers::RedisServer;
use rust_decimal::Decimal;

mod order {
    use cache_kit::CacheEntity;
    use rust_decimal::Decimal;
    use sea_orm::DeriveEntityModel;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize, CacheEntity)]
    #[sea_orm(schema_name = "shop", table_name = "orders")]
    #[cache(key = "id")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: u64,
        pub(crate) customer_id: u64,
        #[sea_orm(column_type = "Decimal(Some((16, 4)))")]
        #[serde(with = "rust_decimal::serde::str")]
        pub(crate) price: Decimal,
        #[serde(with = "rust_decimal::serde::str_option")]
        pub(crate) discount: Option<Decimal>,
        pub(crate) placed: chrono::DateTime<chrono::Utc>,
    }
}

mod customer {
    use cache_kit::CacheEntity;
    use sea_orm::DeriveEntityModel;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize, CacheEntity)]
    #[sea_orm(table_name = "customers")]
    #[cache(key = "id")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub(crate) id: u64,
        #[sea_orm(unique)]
        pub(crate) email: String,
        #[serde(skip)]
        #[cache(skip_ok)]
        pub(crate) password_hash: String,
    }
}

/// Its price needs a self-describing format, as a plain `Decimal` does. The derive does not see what is
/// behind an alias.
mod offer {
    use cache_kit::CacheEntity;
    use rust_decimal::Decimal;
    use sea_orm::DeriveEntityModel;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize, CacheEntity)]
    #[sea_orm(table_name = "offers")]
    #[cache(key = "id")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub(crate) id: u64,
        #[sea_orm(column_type = "Decimal(Some((16, 4)))")]
        pub(crate) price: Price,
    }

    type Price = Decimal;
}

/// Its method is an internally tagged enum, which needs one, too.
mod payment {
    use cache_kit::CacheEntity;
    use sea_orm::DeriveEntityModel;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize, CacheEntity)]
    #[sea_orm(table_name = "payments")]
    #[cache(key = "id")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub(crate) id: u64,
        pub(crate) steps: Vec<Step>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Step {
        pub(crate) by: Method,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    pub(crate) enum Method {
        Card { last_digits: u16 },
        Cash,
    }
}

fn order() -> order::Model {
    order::Model {
        id: 7,
        customer_id: 1,
        price: Decimal::new(12_500, 3),
        discount: Some(Decimal::new(-1, 28)),
        placed: chrono::DateTime::UNIX_EPOCH,
    }
}

fn customer() -> customer::Model {
    customer::Model {
        id: 7,
        email: "ada@example.org".to_owned(),
        password_hash: "$argon2id$".to_owned(),
    }
}

fn offer() -> offer::Model {
    offer::Model {
        id: 7,
        price: Decimal::new(12_500, 3),
    }
}

fn payment() -> payment::Model {
    let step = |by| payment::Step { by };
    payment::Model {
        id: 7,
        steps: vec![
            step(payment::Method::Cash),
            step(payment::Method::Card { last_digits: 4242 }),
        ],
    }
}

/// One service for all models, as a program has it.
struct Shop<B: CacheBackend> {
    service: CacheService<B>,
    told: Told,
}

/// The answer of a call.
#[derive(Debug, PartialEq)]
struct Answer<T> {
    source: Source,
    row: Option<T>,
}

impl<B: CacheBackend> Shop<B> {
    fn over(backend: B) -> Self {
        let told = Told::default();
        let service = CacheExpander::new(backend).with_metrics(Box::new(told.clone()));
        Self {
            service: service.into(),
            told,
        }
    }

    async fn call<T: CacheEntity<Key = u64>>(
        &self,
        rows: &InMemoryRepository<T>,
        strategy: CacheStrategy,
    ) -> Result<(Answer<T>, Stored)> {
        let mut feeder = SharedFeeder::<T>::new(7);
        let outcome = self.service.execute(&mut feeder, rows, strategy).await?;
        let answer = Answer {
            source: outcome.source(),
            row: feeder.entity.map(|row| T::clone(&row)),
        };
        Ok((answer, self.told.judge(outcome)))
    }

    /// The answers around a load, an update and a deletion.
    async fn life_of<T: CacheEntity<Key = u64>>(&self, first: T, second: T) -> Vec<Answer<T>> {
        let rows = InMemoryRepository::new();
        let mut answers = Vec::new();
        rows.insert(7, first);
        for strategy in [Refresh, Refresh, Fresh] {
            answers.push(self.call(&rows, strategy).await.unwrap().0);
        }
        rows.insert(7, second);
        for strategy in [Refresh, Invalidate, Refresh] {
            answers.push(self.call(&rows, strategy).await.unwrap().0);
        }
        rows.clear();
        self.service.invalidate::<T>(&7).await.unwrap();
        answers.push(self.call(&rows, Refresh).await.unwrap().0);
        answers
    }
}

fn in_memory() -> Shop<InMemoryBackend> {
    Shop::over(InMemoryBackend::default())
}

fn on(server: &RedisServer) -> Shop<RedisBackend> {
    let patience = std::time::Duration::from_secs(30);
    let config = RedisConfig::from_url(&server.url()).unwrap();
    let config = config.set(|encoded| encoded.with_operation_deadline(patience));
    Shop::over(RedisBackend::new(config).unwrap())
}

/// Asserts that the first call says why a model can only be kept in memory.
async fn is_kept_in_memory_alone<T>(server: &RedisServer, row: T, path: &str)
where
    T: CacheEntity<Key = u64> + Debug + PartialEq,
{
    let rows = InMemoryRepository::new();
    rows.insert(7, row.clone());
    let (memory, redis) = (in_memory(), on(server));
    let (_, stored) = memory.call(&rows, Refresh).await.unwrap();
    assert!(matches!(stored, Stored::Stored), "{stored:?}");
    let (_, stored) = redis.call(&rows, Refresh).await.unwrap();
    let Stored::Refused(reason) = &stored else {
        unreachable!("{stored:?}");
    };
    assert!(reason.contains(std::any::type_name::<T>()), "{reason}");
    assert!(reason.contains(path), "{reason}");

    let row = || Some(row.clone());
    let (second, _) = memory.call(&rows, Refresh).await.unwrap();
    assert_eq!((second.source, second.row), (Source::Cache, row()));
    let (second, _) = redis.call(&rows, Refresh).await.unwrap();
    assert_eq!((second.source, second.row), (Source::Repository, row()));
    let key = format!("{}:7", T::cache_prefix());
    assert_eq!(server.command(&["EXISTS", &key]).integer(), Some(0));
}

/// A service that has both models under one id answers for each of them.
async fn keeps_apart<B: CacheBackend>(shop: &Shop<B>) {
    let (orders, customers) = (InMemoryRepository::new(), InMemoryRepository::new());
    orders.insert(7, order());
    customers.insert(7, customer());
    for source in [Source::Repository, Source::Cache] {
        let (answer, _) = shop.call(&orders, Refresh).await.unwrap();
        assert_eq!((answer.source, answer.row), (source, Some(order())));
        let (answer, _) = shop.call(&customers, Refresh).await.unwrap();
        assert_eq!(answer.source, source);
        assert_eq!(answer.row.unwrap().email, customer().email);
    }
}

#[tokio::test]
async fn models_of_one_name_are_kept_apart_by_their_tables() {
    let server = RedisServer::start();
    keeps_apart(&in_memory()).await;
    keeps_apart(&on(&server)).await;
    let keys = server.command(&["EXISTS", "shop.orders:7", "customers:7"]);
    assert_eq!(keys.integer(), Some(2));
}

#[tokio::test]
async fn a_price_that_is_kept_as_text_is_answered_alike() {
    let server = RedisServer::start();
    let raised = order::Model {
        price: Decimal::MAX,
        discount: None,
        ..order()
    };
    let memory = in_memory().life_of(order(), raised.clone()).await;
    let redis = on(&server).life_of(order(), raised).await;
    assert_eq!(memory, redis);
    let sources: Vec<Source> = redis.iter().map(|answer| answer.source).collect();
    use Source::{Cache, Repository};
    assert_eq!(
        sources,
        [
            Repository, Cache, Cache, Cache, Repository, Cache, Repository
        ]
    );
}

#[tokio::test]
async fn a_price_that_asks_the_bytes_is_refused_at_the_first_call() {
    let server = RedisServer::start();
    is_kept_in_memory_alone(&server, offer(), "field `price` can be read only from").await;
}

#[tokio::test]
async fn an_enum_with_a_tag_inside_is_refused_at_the_first_call() {
    let server = RedisServer::start();
    let path = "field `steps[].by` can be read only from";
    is_kept_in_memory_alone(&server, payment(), path).await;
}

/// With `skip_ok`, a hit of a store of bytes has the field's default. Everything else is the same.
#[tokio::test]
async fn a_skipped_field_is_in_what_is_loaded_and_in_no_hit_on_redis() {
    let server = RedisServer::start();
    let changed = customer::Model {
        password_hash: "$scrypt$".to_owned(),
        ..customer()
    };
    let memory = in_memory().life_of(customer(), changed.clone()).await;
    let redis = on(&server).life_of(customer(), changed).await;
    let has_hash = |answer: &Answer<customer::Model>| {
        let row = answer.row.as_ref();
        row.is_some_and(|row| !row.password_hash.is_empty())
    };
    for (memory, redis) in memory.into_iter().zip(redis) {
        assert_eq!(has_hash(&memory), memory.row.is_some());
        let was_loaded = redis.source == Source::Repository;
        assert_eq!(has_hash(&redis), was_loaded && redis.row.is_some());
        let without_hash = |answer: Answer<customer::Model>| Answer {
            row: answer.row.map(|row| customer::Model {
                password_hash: String::new(),
                ..row
            }),
            ..answer
        };
        assert_eq!(without_hash(memory), without_hash(redis));
    }
}
