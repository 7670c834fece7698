use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id, name")]
struct User {
    id: u64,
    name: String,
}

fn main() {}
