use std::rc::Rc;

use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id")]
struct GetUser {
    id: Rc<str>,
}

fn main() {}
