use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("shop", "id", "shop"))]
struct Twice {
    shop: u64,
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("id"))]
struct Single {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key())]
struct Empty {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key(shop, 1))]
struct Unquoted {
    shop: u64,
    id: u64,
}

fn main() {}
