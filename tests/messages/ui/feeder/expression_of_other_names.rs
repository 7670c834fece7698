use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "format!(\"{}-{}\", shop, idd)")]
struct Misspelt {
    shop: String,
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "self.caller.name")]
struct OfCaller {
    caller: User,
}

fn main() {}
