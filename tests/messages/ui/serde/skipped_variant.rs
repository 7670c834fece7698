use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key_with = Self::id, key_type = u64)]
enum Animal {
    #[serde(skip)]
    Unknown,
    Cat(u64),
}

impl Animal {
    fn id(&self) -> u64 {
        match self {
            Self::Unknown => 0,
            Self::Cat(id) => *id,
        }
    }
}

fn main() {}
