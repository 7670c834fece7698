use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key_with = Self::id, key_type = u64)]
enum Account {
    Open {
        id: u64,
        #[serde(skip)]
        secret: String,
    },
    Closed(u64, #[serde(skip)] String),
}

impl Account {
    fn id(&self) -> u64 {
        match self {
            Self::Open { id, .. } | Self::Closed(id, _) => *id,
        }
    }
}

fn main() {}
