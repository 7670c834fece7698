use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key_with = Self::id, key_type = u64)]
#[serde(untagged)]
enum Animal {
    Cat { id: u64 },
    Dog { id: u64, bones: u32 },
}

impl Animal {
    fn id(&self) -> u64 {
        let (Self::Cat { id } | Self::Dog { id, .. }) = self;
        *id
    }
}

fn main() {}
