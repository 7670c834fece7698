use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = Order, key = "id")]
struct GetOrder {
    id: String,
}

fn feeds(_: &impl CacheFeed<User>, _: Option<Arc<Order>>) {}

fn main() {}
