use cache_kit::CacheSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, CacheSchema)]
struct Address {
    #[serde(skip_serializing_if = "Option::is_none")]
    city: Option<String>,
}

#[derive(Serialize, Deserialize, CacheSchema)]
#[serde(untagged)]
enum Place {
    City(String),
    Code(u32),
}

fn main() {}
