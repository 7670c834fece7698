use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Optional {
    id: Option<String>,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "user:{id}")]
struct InTemplate {
    id: Option<String>,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("shop", "id"))]
struct InParts {
    shop: u64,
    id: Option<String>,
}

fn main() {}
