use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: u64,
}

type Ids = Vec<u64>;

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "ids")]
struct GetUsers {
    ids: Ids,
}

fn main() {}
