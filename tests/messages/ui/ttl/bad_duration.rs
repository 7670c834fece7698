use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

macro_rules! lives {
    ($name:ident, $ttl:literal) => {
        #[derive(Clone, Serialize, Deserialize, CacheEntity)]
        #[cache(key = "id", ttl = $ttl)]
        struct $name {
            id: u64,
        }
    };
}

lives!(Bare, "30");
lives!(Words, "5 minutes");
lives!(Fraction, "1.5h");
lives!(WrongOrder, "30m1h");
lives!(Zero, "0s");
lives!(TooLong, "999999999999d");

fn main() {}
