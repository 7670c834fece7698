use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: u64,
}

type Ids = Vec<u64>;

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct Users {
    #[feeder(key)]
    ids: Ids,
    #[feeder(entity)]
    users: Vec<Option<Arc<User>>>,
}

fn main() {}
