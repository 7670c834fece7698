use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct NoneIsMissing {
    #[feeder(key)]
    ids: Vec<String>,
    #[feeder(entity)]
    users: Vec<Arc<User>>,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct Other {
    #[feeder(key)]
    ids: Vec<String>,
    #[feeder(entity)]
    users: [Option<User>; 2],
}

fn main() {}
