use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

// Stands in for the crate.
mod serde_json {
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    pub struct Value;
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Document {
    id: String,
    attributes: Option<Vec<serde_json::Value>>,
}

fn main() {}
