use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: u64,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
#[repr(packed)]
struct UserFeeder {
    #[feeder(key)]
    id: u64,
    #[feeder(entity)]
    user: Option<User>,
}

fn main() {}
