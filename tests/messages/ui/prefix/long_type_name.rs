use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct AnEntityWhoseNameSaysEverythingThereIsToKnowAboutItAndThenSomeMore {
    id: u64,
}

fn main() {}
