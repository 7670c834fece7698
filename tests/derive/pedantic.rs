//! The generated code, in a module with all of clippy's lints.
#![deny(clippy::all, clippy::pedantic, clippy::nursery, clippy::cargo)]
#![deny(missing_docs, unused_qualifications, unreachable_pub)]

use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeed, CacheFeedMany, CacheFeeder, Error, Result};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "pedantic_user", key = "id", ttl = "1h30m", version = 2)]
struct User {
    id: u64,
    name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, CacheEntity)]
#[cache(key("shop", "id"))]
struct Item {
    shop: u16,
    id: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, CacheEntity)]
#[cache(key("0", "1"))]
struct Pair(u8, char);

#[derive(Clone, Debug, Serialize, Deserialize, CacheEntity)]
#[cache(key = "{year}/{number}")]
struct Invoice {
    year: u16,
    number: u32,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id", validate = Self::check, on_miss = Self::note)]
struct GetUser<'a, T> {
    id: u32,
    text: &'a str,
    rest: T,
}

impl<T> GetUser<'_, T> {
    fn check(&self) -> Result<()> {
        refuse(self.text.len() > 9)
    }

    fn note(&mut self, key: &str) -> Result<()> {
        self.id += 1;
        refuse(key.is_empty())
    }
}

fn refuse(it: bool) -> Result<()> {
    if it {
        return Err(Error::ValidationError("refused".to_owned()));
    }
    Ok(())
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "ids", name = "Users")]
struct GetUsers {
    ids: Vec<u64>,
}

#[derive(CacheFeeder)]
#[feeder(entity = Item, key("shop", "id"))]
struct GetItem<'a> {
    shop: u8,
    id: &'a str,
}

#[derive(CacheFeeder)]
#[feeder(entity = Invoice, key = "{year}/{number}")]
struct ByTemplate {
    year: u16,
    number: u32,
}

#[derive(CacheFeeder)]
#[feeder(entity = Invoice, key = "format!(\"{year}/{}\", self.number)")]
struct ByExpression {
    year: u16,
    number: u32,
}

#[derive(CacheFeeder)]
#[feeder(entity = Pair)]
struct PairFeeder(
    #[feeder(key)] u8,
    #[feeder(key)] char,
    #[feeder(entity)] Option<Pair>,
);

#[derive(CacheFeeder)]
#[feeder(entity = Item)]
struct Items<'a> {
    #[feeder(key)]
    keys: &'a [ItemKey],
    #[feeder(entity)]
    items: Vec<Option<Arc<Item>>>,
}

#[test]
fn every_form_is_used() {
    let user = User {
        id: 1,
        name: "ada".to_owned(),
    };
    let mut get = GetUser {
        id: 1,
        text: "",
        rest: (),
    }
    .into_feeder();
    assert_eq!(get.entity_id(), user.cache_key());
    assert!(get.validate().is_ok() && get.on_miss("k").is_ok());
    assert_eq!((get.request.id, get.request.rest), (2, ()));
    get.feed(Some(user));
    assert_eq!(get.into_entity().map(|user| user.name.len()), Some(3));
    let mut users = GetUsers { ids: vec![1] }.into_feeder();
    users.feed_many(vec![None]);
    assert!(users.into_entities()[0].is_none());
    let key = GetItem { shop: 1, id: "a" }.into_feeder().entity_id();
    assert_eq!(key, ItemKey::new(1, "a".to_owned()));
    let (year, number) = (2024, 7);
    let template = ByTemplate { year, number }.into_feeder().entity_id();
    let expression = ByExpression { year, number }.into_feeder().entity_id();
    assert_eq!(template, expression);
    assert_eq!(PairFeeder(1, 'a', None).entity_id(), PairKey::new(1, 'a'));
    let mut items = Items {
        keys: &[key],
        items: Vec::new(),
    };
    assert_eq!(items.entity_ids().len(), 1);
    items.feed_many(vec![None]);
    assert_eq!(items.items.len(), 1);
}
