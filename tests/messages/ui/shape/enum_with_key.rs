use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
enum Animal {
    Cat { id: u64 },
    Dog { id: u64 },
}

fn main() {}
