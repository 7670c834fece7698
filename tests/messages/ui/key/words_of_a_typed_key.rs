use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", key_name = "UserId")]
struct Named {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "{id}", key_derive(Copy))]
struct Derived {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("id", "name"), key_derive())]
struct Nothing {
    id: u64,
    name: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("id", "name"), key_derive = "Copy", key_name = "A B")]
struct Quoted {
    id: u64,
    name: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("id", "name"), key_derive(Copy))]
struct NotCopy {
    id: u64,
    name: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("id", "name"), key_derive(Clone, std::hash::Hash))]
struct HasThem {
    id: u64,
    name: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("id", "name"), key_name = "Same")]
struct Same {
    id: u64,
    name: String,
}

fn main() {}
