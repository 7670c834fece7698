//! cache-kit under another name, and nothing of the prelude.
#![no_implicit_prelude]

mod kits {
    pub(crate) use ::cache_kit as renamed;
}

#[derive(
    ::std::clone::Clone,
    ::serde::Serialize,
    ::serde::Deserialize,
    ::cache_kit::CacheEntity,
)]
#[cache(key("shop", "id"), ttl = "1s", crate = "crate::kits::renamed")]
struct Item {
    shop: u16,
    id: u64,
}

#[derive(::cache_kit::CacheFeeder)]
#[feeder(entity = Item, key = "key", crate = "kits::renamed")]
struct GetItem {
    key: ItemKey,
}

fn main() {
    use ::cache_kit::{CacheEntity, CacheFeed};

    let item = Item { shop: 1, id: 2 };
    let mut feeder = GetItem {
        key: item.cache_key(),
    }
    .into_feeder();
    ::std::assert!(feeder.entity_id() == item.cache_key());
    feeder.feed(::std::option::Option::Some(item));
    ::std::assert!(feeder.into_entity().is_some());
}
