use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = std::sync::Arc<User>, key = "id")]
struct Shared {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = Option<std::sync::Arc<crate::User>>, key = "id")]
struct Optional {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = &User, key = "id")]
struct Borrowed {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = Vec<User>, key = "ids")]
struct Many {
    ids: Vec<String>,
}

fn feeds(_: &impl CacheFeed<User>) {}

fn main() {
    let _: fn(&SharedFeeder) = feeds;
}
