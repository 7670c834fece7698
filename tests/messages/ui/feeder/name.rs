use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id", name = "user feeder")]
struct TwoWords {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id", name = "fn")]
struct Keyword {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id", name = "GetUser")]
struct GetUser {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id", name = Feeder)]
struct NoQuotes {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, name = "Other")]
struct InPlace {
    #[feeder(key)]
    id: String,
    #[feeder(entity)]
    user: Option<Arc<User>>,
}

fn main() {}
