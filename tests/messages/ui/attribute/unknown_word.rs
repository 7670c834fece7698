use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefx = "user", key = "id", expires = "1h", ttl = "1h", stale = "10m")]
struct User {
    #[cache(kye)]
    id: String,
}

fn main() {}
