use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix, key = "id" ttl = "1h", version =)]
struct User {
    id: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache]
struct Order {
    #[cache(key = "id")]
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache = "item"]
struct Item {
    #[cache(key)]
    id: u64,
}

fn main() {}
