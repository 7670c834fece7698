use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id + 1")]
struct ANumber {
    id: u64,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "caller.1")]
struct APlace {
    caller: (String, Option<String>),
}

fn main() {}
