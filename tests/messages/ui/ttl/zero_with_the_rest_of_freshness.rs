use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", ttl = "0s", jitter = "10%", refresh_ahead = 1)]
#[cache(stale_while_revalidate = "30s", stale_if_error = "5m", answer_within = "50ms")]
struct User {
    id: u64,
}

fn main() {}
