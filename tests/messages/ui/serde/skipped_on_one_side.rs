use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
    #[serde(skip_serializing, default)]
    visits: u32,
    #[serde(skip_deserializing)]
    seen: u32,
}

fn main() {}
