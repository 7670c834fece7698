use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entiy = User, entity = User, key = "idd", ttl = "1h")]
struct GetUser {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = "User", key = id)]
struct Quotes {
    #[feeder(crate = "x")]
    id: String,
    user: Option<Arc<User>>,
}

fn feeds(_: &impl CacheFeed<User>) {}

fn main() {
    let _: fn(&GetUserFeeder) = feeds;
}
