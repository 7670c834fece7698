use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "user")]
struct User {
    id: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
struct Order {
    number: u64,
    customer: String,
}

fn main() {}
