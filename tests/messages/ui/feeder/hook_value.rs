use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, validate = "check", on_hit = |_, _| Ok(()), on_miss, on_loaded = log(1))]
struct UserFeeder {
    #[feeder(key)]
    id: String,
    #[feeder(entity)]
    user: Option<Arc<User>>,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, onhit = note, on_load = note, key = "id")]
struct Misspelt {
    #[feeder(validate = check)]
    id: String,
}

fn main() {}
