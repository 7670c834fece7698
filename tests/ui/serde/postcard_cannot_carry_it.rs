use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Address {
    city: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(flatten)]
    address: Address,
    #[serde(skip_serializing)]
    visits: u32,
    #[serde(skip_deserializing)]
    seen: u32,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
#[serde(rename_all = "camelCase", tag = "type")]
struct Tagged {
    id: String,
}

fn main() {}
