use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", ttl = 30, stale_if_error = 10, negative_ttl = 5)]
#[cache(stale_while_revalidate = 30, answer_within = 50)]
struct User {
    id: u64,
}

fn main() {}
