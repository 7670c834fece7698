use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", ttl = "1h", refresh_ahead = 0)]
struct Zero {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", ttl = "1h", refresh_ahead = -1.5)]
struct Negative {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", ttl = "1h", refresh_ahead = 1_001)]
struct TooLarge {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", ttl = "1h", refresh_ahead = "1.0")]
struct Text {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", ttl = "1h", refresh_ahead = 30s)]
struct Duration {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", ttl = "1h", refresh_ahead = often)]
struct Word {
    id: u64,
}

fn main() {}
