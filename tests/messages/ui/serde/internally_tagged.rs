use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
#[serde(rename_all = "camelCase", tag = "type")]
struct Tagged {
    id: String,
}

fn main() {}
