use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id")]
enum Get {
    One { id: String },
    None,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct Unit;

#[derive(CacheFeeder)]
union Either {
    id: u64,
    other: i64,
}

fn feeds(_: &impl CacheFeed<User>, _: Option<Arc<User>>) {}

fn main() {
    let _: fn(&Get, _) = feeds;
    let _: fn(&Unit, _) = feeds;
}
