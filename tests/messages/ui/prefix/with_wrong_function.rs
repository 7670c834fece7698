use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix_with = Self::prefix, key = "id")]
struct User {
    id: u64,
}

impl User {
    fn prefix() -> String {
        "user".to_owned()
    }
}

fn main() {}
