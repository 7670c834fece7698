use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key_with = Self::weight, key_type = f64)]
struct Parcel {
    weight: f64,
}

impl Parcel {
    fn weight(&self) -> f64 {
        self.weight
    }
}

fn main() {}
