use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", max_bytes = "4 GiB")]
struct User {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", max_bytes = 4294967296)]
struct Order {
    id: u64,
}

fn main() {}
