use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", jitter = "10%", stale_while_revalidate = "30s", refresh_ahead = 1.0)]
struct User {
    id: u64,
}

fn main() {}
