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
#[feeder(entity = Item, key())]
struct Empty {
    order_id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key("id"))]
struct OnlyOne {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = Item, key(order_id, "item_id"))]
struct NoQuotes {
    order_id: String,
    item_id: u32,
}

#[derive(CacheFeeder)]
#[feeder(entity = Item, key("order_id", "item_id", "order_id"))]
struct Doubled {
    order_id: String,
    item_id: u32,
}

#[derive(CacheFeeder)]
#[feeder(entity = Item, key("order_id", "item_ids"))]
struct Many {
    order_id: String,
    item_ids: Vec<u32>,
}

fn main() {}
