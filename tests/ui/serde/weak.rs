use std::sync::Weak;

use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Node {
    id: u64,
    parent: Option<Weak<u64>>,
}

fn main() {}
