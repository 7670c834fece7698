use cache_kit::{CacheEntity, CacheFeed, CacheFeedMany, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id")]
struct GetUser {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "ids")]
struct GetUsers {
    ids: Vec<String>,
}

fn feeds(_: &impl CacheFeed<User>) {}

fn feeds_many(_: &impl CacheFeedMany<User>) {}

fn main() {
    let one = GetUser { id: "a".to_owned() };
    let many = GetUsers { ids: vec!["a".to_owned()] };
    feeds(&one);
    feeds_many(&one.into_feeder());
    feeds(&many.into_feeder());
}
