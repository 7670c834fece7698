use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "ids")]
struct GetUsers {
    ids: Vec<u64>,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "ids")]
struct Borrowed<'a> {
    ids: &'a [&'a Option<String>],
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "ids")]
struct Array {
    ids: [String; 2],
}

fn main() {}
