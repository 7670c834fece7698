use cache_kit::{CacheEntity, CacheSchema};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity, CacheSchema)]
#[cache(key = "id")]
struct User {
    id: u64,
}

fn main() {}
