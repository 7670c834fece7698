use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key_with = Self::number)]
struct User {
    id: u64,
}

impl User {
    fn number(&self) -> u64 {
        self.id
    }
}

fn main() {}
