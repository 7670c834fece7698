use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct User {
    id: u64,
}

fn key(_: &impl CacheEntity) {}

fn main() {
    key(&User { id: 1 });
}
