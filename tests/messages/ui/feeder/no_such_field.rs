use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
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
#[feeder(entity = User, key = "user_di")]
struct Misspelt {
    user_id: String,
    verbose: bool,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "self.id")]
struct OfSelf {
    user_id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = Item, key("order_id", "item"))]
struct Part {
    order_id: String,
    item_id: u32,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "{shop}:{id}")]
struct InATemplate {
    store: String,
    id: u32,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "1")]
struct Numbered(String);

fn feeds(_: &impl CacheFeed<User>) {}

fn main() {
    let _: fn(&MisspeltFeeder) = feeds;
}
