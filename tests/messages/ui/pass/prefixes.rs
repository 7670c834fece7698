//! Every way to say what the keys of an entity start with.
use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct HttpSession {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "users.v2", key = "id")]
struct User {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix_with = Self::of_order, key = "id")]
struct Order {
    id: u64,
}

impl Order {
    fn of_order() -> &'static str {
        "order"
    }
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix_with = prefixes::of_item::<7>, key = "id")]
struct Item {
    id: u64,
}

mod prefixes {
    pub(crate) fn of_item<const N: usize>() -> &'static str {
        if N == 7 { "seventh_item" } else { "item" }
    }
}

fn main() {
    assert_eq!(HttpSession::cache_prefix(), "http_session");
    assert_eq!(User::cache_prefix(), "users.v2");
    assert_eq!(Order::cache_prefix(), "order");
    assert_eq!(Item::cache_prefix(), "seventh_item");
}
