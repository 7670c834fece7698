use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(primary = "id")]
struct User {
    id: u64,
}

fn main() {}
