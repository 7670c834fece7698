use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
enum Animal {
    Cat { id: u64 },
    Dog { id: u64 },
}

fn main() {}
