//! Fields, hooks and modules that are called what generated code might be called.
#![deny(warnings)]

use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeed, CacheFeeder, Result};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("entity", "request"))]
pub struct Key {
    entity: String,
    request: u8,
}

#[derive(CacheFeeder)]
#[feeder(entity = Key, key("request", "entity"), on_hit = Self::on_hit, name = "request")]
#[allow(non_camel_case_types, reason = "in the way")]
struct feed<'key> {
    entity: &'key str,
    request: u8,
    key: String,
}

impl feed<'_> {
    fn on_hit(&mut self, key: &str) -> Result<()> {
        self.key = key.to_owned();
        Ok(())
    }
}

#[derive(CacheFeeder)]
#[feeder(entity = self::Key, key = "KeyKey::new(entity.clone(), request + key)")]
struct Expression {
    entity: String,
    request: u8,
    key: u8,
}

#[derive(CacheFeeder)]
#[feeder(entity = Key)]
struct Same {
    #[feeder(key)]
    entity: String,
    #[feeder(key)]
    request: u8,
    #[feeder(entity)]
    feed: Option<Arc<Key>>,
}

fn main() {
    let key = KeyKey::new("e".into(), 3);
    let request = feed { entity: "e", request: 3, key: String::new() };
    let mut feeder: request<'_> = request.into_feeder();
    assert!(feeder.entity_id() == key);
    assert!(feeder.on_hit("k").is_ok());
    assert_eq!(feeder.request.key, "k");
    let expression = Expression { entity: "e".into(), request: 1, key: 2 };
    assert!(expression.into_feeder().entity_id() == key);
    let mut same = Same { entity: "e".into(), request: 3, feed: None };
    assert!(same.entity_id() == key);
    same.feed(None);
    assert!(same.feed.is_none());
}
