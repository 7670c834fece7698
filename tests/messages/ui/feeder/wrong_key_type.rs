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
struct GetUser {
    id: u64,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct UserFeeder {
    #[feeder(key)]
    id: Option<String>,
    #[feeder(entity)]
    user: Option<Arc<User>>,
}

fn feeds(_: &impl CacheFeed<User>) {}

fn main() {
    let _: fn(&UserFeeder) = feeds;
}
