use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", ttl = "1h", stale_while_revalidate = "30 sec")]
struct User {
    id: u64,
}

fn main() {}
