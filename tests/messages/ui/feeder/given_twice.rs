use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, entity = User, key = "id", key("id", "other"), name = "A", name = "B")]
#[feeder(validate = check, validate = check, on_hit = hit)]
#[feeder(on_hit = hit, on_miss = hit, on_loaded = loaded, crate = "cache_kit", crate = "cache_kit")]
struct GetUser {
    id: String,
    other: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct UserFeeder {
    #[feeder(key, key)]
    id: String,
    #[feeder(entity)]
    #[feeder(entity)]
    user: Option<Arc<User>>,
}

fn main() {}
