use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
struct Nothing {
    id: String,
    name: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct NoKey {
    id: String,
    #[feeder(entity)]
    user: Option<Arc<User>>,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct NoPlace {
    #[feeder(key)]
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(key = "id")]
struct NoEntity {
    id: String,
}

// None of this is an error of its own.
fn feeds(_: &impl CacheFeed<User>) {}

fn all(nothing: Nothing, no_key: NoKey, no_place: NoPlace, no_entity: NoEntity) {
    feeds(&nothing.into_feeder());
    feeds(&no_key);
    feeds(&no_place.into_feeder());
    feeds(&no_entity.into_feeder());
}

fn main() {
    let _ = all;
}
