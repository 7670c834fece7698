use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Price {
    id: String,
}

struct Currency;

#[derive(CacheFeeder)]
#[feeder(entity = Price, key = "{shop}-{currency}")]
struct GetPrice {
    shop: u64,
    currency: Currency,
}

fn main() {}
