use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix_with = prefix, key("id", "page"))]
struct Page<T> {
    id: T,
    page: u32,
}

fn prefix() -> &'static str {
    "page"
}

fn main() {}
