use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "user_di")]
struct User {
    user_id: String,
    name: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("order", "0"))]
struct Item(u64, u64);

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "{name}:{nmae}")]
struct Named {
    name: String,
}

fn main() {}
