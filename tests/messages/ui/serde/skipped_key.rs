use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    #[serde(skip)]
    #[cache(skip_ok)]
    id: u64,
    name: String,
}

fn main() {}
