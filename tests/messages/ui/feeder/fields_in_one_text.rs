use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("id", "name"))]
struct User {
    id: u64,
    name: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id, name")]
struct GetUser {
    id: u64,
    name: String,
}

fn main() {}
