use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", ttl = "1h", stale_if_error = "5m", answer_within = "0ms")]
struct User {
    id: u64,
}

fn main() {}
