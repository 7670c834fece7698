//! Every form of key.
use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Named {
    id: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
struct Marked {
    #[cache(key)]
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
struct MarkedTuple(bool, #[cache(key)] u64);

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("b", "a"))]
struct Parts {
    a: u8,
    b: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "{a}/{b}")]
struct Template {
    a: u8,
    b: String,
}

fn main() {
    assert_eq!(Named { id: "n".into() }.cache_key(), "n");
    assert_eq!(Marked { id: 7 }.cache_key(), 7);
    assert_eq!(MarkedTuple(true, 7).cache_key(), 7);
    let parts = Parts { a: 1, b: "x".into() };
    assert_eq!(parts.cache_key(), PartsKey { b: "x".into(), a: 1 });
    let template = Template { a: 1, b: "x".into() };
    assert_eq!(template.cache_key(), "1/x");
}
