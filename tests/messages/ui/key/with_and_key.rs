use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", key_with = Self::number, key_type = u64)]
struct User {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key_with = Self::number, key_type = u64)]
struct Order {
    #[cache(key)]
    id: u64,
}

impl User {
    fn number(&self) -> u64 {
        self.id
    }
}

impl Order {
    fn number(&self) -> u64 {
        self.id
    }
}

fn main() {}
