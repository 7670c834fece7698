use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct Bare {
    #[feeder(key)]
    id: String,
    #[feeder(entity)]
    user: User,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct Boxed {
    #[feeder(key)]
    id: String,
    #[feeder(entity)]
    user: Option<Box<User>>,
}

fn feeds(_: &impl CacheFeed<User>) {}

fn main() {
    let _: fn(&Bare) = feeds;
}
