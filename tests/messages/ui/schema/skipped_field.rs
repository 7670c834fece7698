use cache_kit::CacheSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheSchema)]
struct Login {
    name: String,
    #[serde(skip)]
    password_hash: String,
}

#[derive(Clone, Serialize, Deserialize, CacheSchema)]
struct NotSkipped {
    #[cache(skip_ok)]
    name: String,
}

fn main() {}
