use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Meta {
    id: u64,
    ratio: f64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "meta.ratio", key_type = f64)]
struct Float {
    meta: Meta,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "meta.id", key_type = String)]
struct AnotherType {
    meta: Meta,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "if meta.id > 1 { 1 } else { 2 }", key_type = u64)]
struct TooMuch {
    meta: Meta,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "{meta.}")]
struct NoField {
    meta: Meta,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "{meta.name}")]
struct NoSuchField {
    meta: Meta,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "{id}", key_type = String)]
struct TemplateWithType {
    id: u64,
}

fn main() {}
