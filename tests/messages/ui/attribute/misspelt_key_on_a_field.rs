use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
struct User {
    #[cache(kee)]
    id: u64,
}

fn main() {}
