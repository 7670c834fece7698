use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: u64,
    #[serde(skip_serializing, skip_deserializing, default = "unknown")]
    password_hash: String,
}

fn unknown() -> String {
    String::new()
}

fn main() {}
