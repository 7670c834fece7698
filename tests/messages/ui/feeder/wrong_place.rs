use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(key = "id")]
struct GetUser {
    #[feeder(entity = User)]
    id: String,
    #[feeder(name = "Other", on_hit = note)]
    name: String,
}

fn main() {}
