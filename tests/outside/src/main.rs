//! The public contract in a user's crate: by hand, and derived. The test is that it compiles, and
//! that it ends without a panic.

#![deny(warnings)]

mod names;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cache_kit::backend::{CacheBackend, InMemoryBackend};
use cache_kit::observability::{CacheMetrics, TtlPolicy};
use cache_kit::repository::InMemoryRepository;
use cache_kit::{
    CacheEntity, CacheExpander, CacheFeed, CacheFeeder, CacheService, CacheStrategy,
    DataRepository, OperationConfig, Outcome,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "user", key = "id")]
struct User {
    id: String,
    name: String,
    email: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "order_item", key("order_id", "item_id"))]
struct OrderItem {
    order_id: u64,
    item_id: u32,
    amount: u32,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "order_note", key = "{order_id}:{line}", ttl = "1h30m", version = 2)]
struct OrderNote {
    order_id: u64,
    line: u32,
    text: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Product {
    id: u32,
    price: u64,
}

impl CacheEntity for Product {
    type Key = u32;

    fn cache_key(&self) -> Self::Key {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "product"
    }
}

struct ProductFeeder {
    id: u32,
    product: Option<Product>,
}

impl CacheFeed<Product> for ProductFeeder {
    fn entity_id(&mut self) -> u32 {
        self.id
    }

    fn feed(&mut self, entity: Option<Product>) {
        self.product = entity;
    }
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "user_id")]
struct GetUser {
    user_id: String,
    verbose: bool,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct UserFeeder {
    #[feeder(key)]
    id: String,
    #[feeder(entity)]
    user: Option<User>,
}

#[derive(CacheFeeder)]
#[feeder(entity = OrderItem)]
struct ItemFeeder {
    #[feeder(key)]
    id: OrderItemKey,
    #[feeder(entity)]
    item: Option<Arc<OrderItem>>,
}

struct Pool(HashMap<String, (String, String)>);

impl Pool {
    async fn fetch_optional(&self, id: &str) -> Result<Option<User>, std::fmt::Error> {
        Ok(self.0.get(id).map(|(name, email)| User {
            id: id.to_owned(),
            name: name.clone(),
            email: email.clone(),
        }))
    }
}

struct UserRepository {
    pool: Pool,
}

impl DataRepository<User> for UserRepository {
    async fn fetch_by_id(&self, id: &String) -> cache_kit::Result<Option<User>> {
        self.pool.fetch_optional(id).await
            .map_err(|e| cache_kit::Error::RepositoryError(e.to_string()))
    }
}

struct MyMetrics;

impl CacheMetrics for MyMetrics {
    fn record_hit(&self, key: &str, duration: Duration) {
        println!("hit {key} in {duration:?}");
    }
}

async fn users<B: CacheBackend>(cache: &CacheService<B>) -> cache_kit::Result<()> {
    let ann = ("Ann".to_owned(), "ann@example.org".to_owned());
    let repository = UserRepository {
        pool: Pool(HashMap::from([("user_001".to_owned(), ann)])),
    };
    let mut feeder = UserFeeder { id: "user_001".to_string(), user: None };
    cache.execute(&mut feeder, &repository, CacheStrategy::Refresh).await?;
    cache.execute::<User, _, _>(&mut feeder, &repository, CacheStrategy::Invalidate).await?;
    cache.execute_with_config(&mut feeder, &repository, CacheStrategy::Refresh, OperationConfig::default()).await?;
    assert_eq!(feeder.user.map(|user| (user.id, user.name)), Some(("user_001".to_owned(), "Ann".to_owned())));

    let mut feeder = GetUser { user_id: "user_001".to_string(), verbose: true }.into_feeder();
    let outcome: Outcome = cache.execute(&mut feeder, &repository, CacheStrategy::Fresh).await?;
    assert!(outcome.is_hit() && feeder.request.verbose);
    assert_eq!(feeder.into_entity().map(|user| user.email.clone()).as_deref(), Some("ann@example.org"));
    Ok(())
}

async fn products() -> cache_kit::Result<()> {
    let expander = CacheExpander::new(InMemoryBackend::new())
        .with_metrics(Box::new(MyMetrics))
        .with_ttl_policy(TtlPolicy::PerType(|entity_type| match entity_type {
            "user" => Duration::from_secs(3600), _ => Duration::from_secs(1800) }));
    let repo = InMemoryRepository::<Product>::new();
    repo.insert(7, Product { id: 7, price: 12 });
    let mut feeder = ProductFeeder { id: 7, product: None };
    expander.with::<Product, _, _>(&mut feeder, &repo, CacheStrategy::Refresh).await?;
    expander.with_config(&mut feeder, &repo, CacheStrategy::Refresh,
        OperationConfig::default().with_ttl(Duration::from_secs(60)).with_retry(3)).await?;
    assert_eq!(feeder.product.map(|product| product.price), Some(12));
    Ok(())
}

async fn orders<B: CacheBackend>(cache: &CacheService<B>) -> cache_kit::Result<()> {
    let item = OrderItem { order_id: 1, item_id: 2, amount: 3 };
    let id = item.cache_key();
    assert_eq!(id.to_string(), "1:2");
    let repo = InMemoryRepository::new();
    repo.insert(id.clone(), item);
    let mut feeder = ItemFeeder { id, item: None };
    cache.execute(&mut feeder, &repo, CacheStrategy::Refresh).await?;
    assert_eq!(feeder.item.map(|item| item.amount), Some(3));

    let note = OrderNote { order_id: 1, line: 2, text: "fragile".to_owned() };
    assert_eq!(note.cache_key(), "1:2");
    assert_eq!(OrderNote::cache_ttl(), Some(Duration::from_secs(5_400)));
    assert!(!note.text.is_empty());
    Ok(())
}

#[tokio::main]
async fn main() -> cache_kit::Result<()> {
    names::are_used();
    let cache = CacheService::new(InMemoryBackend::new());
    let (one, two) = (cache.clone(), cache.clone());
    tokio::spawn(async move { users(&one).await }).await.expect("no panic")?;
    tokio::spawn(async move { orders(&two).await }).await.expect("no panic")?;
    products().await?;
    assert_eq!(cache.backend().len(), 2);
    println!("the public contract holds outside the workspace");
    Ok(())
}
