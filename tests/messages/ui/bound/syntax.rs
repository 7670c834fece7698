use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", prefix_with = Self::prefix, bound = "T Clone")]
struct Page<T> {
    id: u64,
    items: Vec<T>,
}

impl<T> Page<T> {
    fn prefix() -> &'static str {
        "page"
    }
}

fn main() {}
