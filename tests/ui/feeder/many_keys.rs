use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "ids")]
struct GetUsers {
    ids: Vec<String>,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct Borrowed<'a> {
    #[feeder(key)]
    ids: &'a [String],
    #[feeder(entity)]
    user: Option<Arc<User>>,
}

fn feeds(_: &impl CacheFeed<User>) {}

fn main() {
    let _: fn(&GetUsersFeeder) = feeds;
}
