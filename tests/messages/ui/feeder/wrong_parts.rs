use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("order_id", "item_id"))]
struct Item {
    order_id: String,
    item_id: u32,
}

#[derive(CacheFeeder)]
#[feeder(entity = Item)]
struct Misnamed {
    #[feeder(key)]
    order: String,
    #[feeder(key)]
    item_id: u32,
    #[feeder(entity)]
    item: Option<Arc<Item>>,
}

#[derive(CacheFeeder)]
#[feeder(entity = Item, key("order_id", "item_id"))]
struct WrongType {
    order_id: String,
    item_id: i64,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key("id", "shop"))]
struct NoParts {
    id: String,
    shop: String,
}

fn main() {}
