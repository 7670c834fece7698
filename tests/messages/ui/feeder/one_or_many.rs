use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeed, CacheFeedMany, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct ManyKeys<'a> {
    #[feeder(key)]
    ids: &'a [String],
    #[feeder(entity)]
    user: Option<Arc<User>>,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct ManyPlaces {
    #[feeder(key)]
    id: String,
    #[feeder(entity)]
    users: Vec<Option<Arc<User>>>,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "ids")]
struct Unordered {
    ids: std::collections::HashSet<String>,
}

fn feeds(_: &impl CacheFeed<User>) {}

fn feeds_many(_: &impl CacheFeedMany<User>) {}

fn main() {
    let _: fn(&ManyKeys<'static>) = feeds_many;
    let _: fn(&ManyPlaces) = feeds;
    let _: fn(&UnorderedFeeder) = feeds_many;
}
