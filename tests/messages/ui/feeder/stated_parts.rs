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
#[feeder(entity = User)]
struct TheOnlyOne {
    #[feeder(key = "id")]
    user: String,
    #[feeder(entity)]
    found: Option<Arc<User>>,
}

#[derive(CacheFeeder)]
#[feeder(entity = Item)]
struct Doubled {
    #[feeder(key)]
    order_id: String,
    #[feeder(key = "order_id")]
    order: String,
    #[feeder(key = "item id")]
    item_id: u32,
    #[feeder(entity)]
    found: Option<Arc<Item>>,
}

#[derive(CacheFeeder)]
#[feeder(entity = Item)]
struct NoText {
    #[feeder(key(order_id))]
    order: String,
    #[feeder(key = item_id)]
    item: u32,
    #[feeder(entity = Item)]
    found: Option<Arc<Item>>,
}

fn main() {}
