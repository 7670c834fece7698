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
struct KeyOnStruct {
    id: String,
    #[feeder(entity)]
    user: Option<Arc<User>>,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id")]
struct KeyOnBoth {
    #[feeder(key)]
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key("id", "other"))]
struct PartsOnBoth {
    #[feeder(key)]
    id: String,
    #[feeder(key)]
    other: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct Doubled {
    #[feeder(key, entity)]
    id: Option<User>,
    #[feeder(entity)]
    user: Option<Arc<User>>,
}

fn feeds(_: &impl CacheFeed<User>) {}

fn main() {
    let _: fn(&Doubled) = feeds;
}
