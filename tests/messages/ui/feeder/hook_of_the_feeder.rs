use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: u64,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id", on_miss = GetUserFeeder::note)]
struct GetUser {
    id: u64,
}

impl GetUserFeeder {
    fn note(&mut self, _: &str) -> cache_kit::Result<()> {
        Ok(())
    }
}

fn main() {}
