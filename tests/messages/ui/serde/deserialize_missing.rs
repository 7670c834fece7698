use cache_kit::CacheEntity;
use serde::Serialize;

#[derive(Clone, Serialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: u64,
}

fn main() {}
