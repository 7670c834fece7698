use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key_with = "Self::number", key_type = "u64")]
struct User {
    id: u64,
}

fn main() {}
