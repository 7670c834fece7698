use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("shop", "shelf", "number"))]
struct Place {
    shop: u8,
    shelf: u8,
    number: u8,
}

#[derive(CacheFeeder)]
#[feeder(entity = Place)]
struct PlaceFeeder {
    #[feeder(key)]
    shop: u8,
    #[feeder(key)]
    number: u8,
    #[feeder(entity)]
    place: Option<Arc<Place>>,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Account {
    id: u64,
}

#[derive(CacheFeeder)]
#[feeder(entity = Account)]
struct NotAStruct {
    #[feeder(key)]
    shop: u8,
    #[feeder(key)]
    number: u8,
    #[feeder(entity)]
    account: Option<Account>,
}

fn main() {}
