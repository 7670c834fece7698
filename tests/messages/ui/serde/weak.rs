use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

// Stands in for the module of std.
mod rc {
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    pub struct Weak<T>(T);
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Node {
    id: u64,
    parent: Option<rc::Weak<u64>>,
}

fn main() {}
