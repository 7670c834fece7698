//! Every form of the feeders without the prelude, and cache-kit under another name.
#![no_implicit_prelude]

mod kits {
    pub(crate) use ::cache_kit as renamed;
}

use ::std::option::Option;
use ::std::string::String;
use ::std::sync::Arc;
use ::std::vec::Vec;

#[derive(
    ::std::clone::Clone,
    ::serde::Serialize,
    ::serde::Deserialize,
    ::cache_kit::CacheEntity,
)]
#[cache(key("shop", "id"), crate = "crate::kits::renamed")]
struct Item {
    shop: u16,
    id: String,
}

#[derive(::cache_kit::CacheFeeder)]
#[feeder(entity = Item, key("shop", "id"), crate = "kits::renamed")]
struct GetItem<'a> {
    shop: u8,
    id: &'a str,
}

#[derive(::cache_kit::CacheFeeder)]
#[feeder(entity = Item, key = "keys", validate = Self::check, crate = "kits::renamed")]
struct GetItems {
    keys: Vec<ItemKey>,
}

impl GetItems {
    fn check(&self) -> ::cache_kit::Result<()> {
        ::std::result::Result::Ok(())
    }
}

#[derive(::cache_kit::CacheFeeder)]
#[feeder(entity = Item, key = "ItemKey::new(*shop, name.to_uppercase())", crate = "kits::renamed")]
struct ByName<'a> {
    shop: u16,
    name: &'a str,
}

#[derive(::cache_kit::CacheFeeder)]
#[feeder(entity = Item, crate = "kits::renamed")]
struct InPlace {
    #[feeder(key)]
    key: ItemKey,
    #[feeder(entity)]
    item: Option<Arc<Item>>,
}

fn main() {
    use ::cache_kit::{CacheFeed, CacheFeedMany};

    let key = ItemKey::new(1, ::std::convert::From::from("A"));
    let get = GetItem { shop: 1, id: "A" };
    ::std::assert!(get.into_feeder().entity_id() == key);
    let by_name = ByName { shop: 1, name: "a" };
    ::std::assert!(by_name.into_feeder().entity_id() == key);
    let mut in_place = InPlace {
        key: ::std::clone::Clone::clone(&key),
        item: Option::None,
    };
    ::std::assert!(in_place.entity_id() == key);
    in_place.feed(Option::None);
    ::std::assert!(in_place.item.is_none());
    let mut many = GetItems {
        keys: ::std::vec![key],
    }
    .into_feeder();
    ::std::assert!(many.validate().is_ok());
    ::std::assert_eq!(many.entity_ids().len(), 1);
}
