use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = user, key = "id", ttl = 30, version = "2", crate = "not a path")]
struct User {
    id: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", version = -1)]
struct Order {
    id: u64,
}

fn main() {}
