use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", ttl = "1h", stale_if_error = "10 min")]
struct User {
    id: u64,
}

fn main() {}
