use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", crate = "not a path")]
struct User {
    id: u64,
}

fn main() {}
