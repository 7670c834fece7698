use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

trait Named {
    fn prefix() -> &'static str;
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", prefix_with = T::prefix)]
struct Page<T> {
    id: u64,
    items: Vec<T>,
}

fn main() {}
