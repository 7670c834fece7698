use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", stale_if_error = "10m")]
struct User {
    id: u64,
}

fn main() {}
