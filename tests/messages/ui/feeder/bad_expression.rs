use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "user id")]
struct TwoWords {
    user_id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "if long { id } else { short }")]
struct TooMuch {
    id: String,
    short: String,
    long: bool,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "ids.iter().map(|id| id.len())")]
struct Closure {
    ids: Vec<String>,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "{id")]
struct Open {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = id)]
struct NoQuotes {
    id: String,
}

fn main() {}
