use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "user", prefix_with = prefix, key = "id")]
struct User {
    id: u64,
}

fn prefix() -> &'static str {
    "user"
}

fn main() {}
