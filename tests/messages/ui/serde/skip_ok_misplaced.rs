use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct NotSkipped {
    id: u64,
    #[cache(skip_ok)]
    name: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", skip_ok)]
struct OnTheStruct {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct WithValue {
    id: u64,
    #[serde(skip)]
    #[cache(skip_ok = true)]
    name: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key_with = Self::id, key_type = u64)]
enum OnAVariant {
    A(u64),
    #[serde(skip)]
    #[cache(skip_ok)]
    B,
}

impl OnAVariant {
    fn id(&self) -> u64 {
        0
    }
}

fn main() {}
