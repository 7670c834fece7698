use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
enum Animal {
    Cat {
        #[cache(key)]
        id: u64,
    },
    #[cache(prefix = "dog")]
    Dog(u64),
}

fn main() {}
