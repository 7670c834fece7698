use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder]
struct NoParentheses {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity, key, name, crate)]
struct NoValues {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = , key = , validate = )]
struct NothingBehind {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = 5, key = 5, name = 5, crate = 5, on_hit = 5)]
struct Numbers {
    id: String,
}

fn main() {}
