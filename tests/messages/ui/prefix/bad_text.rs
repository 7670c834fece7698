use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "", key = "id")]
struct Empty {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "shop:user", key = "id")]
struct Colon {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "shop user", key = "id")]
struct Blank {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "user\0", key = "id")]
struct Control {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "a_prefix_that_leaves_no_room_for_a_key_of_any_reasonable_length_x", key = "id")]
struct Long {
    id: u64,
}

fn main() {}
