use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key_with = Self::id, key_type = u64)]
enum Animal {
    Cat(u64),
    #[serde(untagged)]
    Dog(u64),
}

impl Animal {
    fn id(&self) -> u64 {
        let (Self::Cat(id) | Self::Dog(id)) = self;
        *id
    }
}

fn main() {}
