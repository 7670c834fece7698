use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", max_bytes = 64KiB)]
struct User {
    id: u64,
}

fn main() {}
