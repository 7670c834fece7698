use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "user", key = "id", prefix = "account")]
#[cache(ttl = "1h", key = "name")]
#[cache(ttl = "2h")]
struct User {
    id: String,
    name: String,
}

fn main() {}
