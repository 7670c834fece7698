//! Generic entities: each instantiation has a prefix of its own.
use std::fmt::Display;
use std::hash::Hash;

use cache_kit::{CacheEntity, CacheSchema};
use serde::{Deserialize, Serialize};

trait Paged {
    fn page_prefix() -> &'static str;
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix_with = T::page_prefix, key = "number", bound = "T: Paged + CacheSchema")]
struct Page<T> {
    number: u32,
    items: Vec<T>,
}

#[derive(Clone, Serialize, Deserialize, CacheSchema)]
struct User {
    id: u64,
}

impl Paged for User {
    fn page_prefix() -> &'static str {
        "user_page"
    }
}

#[derive(Clone, Serialize, Deserialize, CacheSchema)]
struct Order {
    number: u64,
}

impl Paged for Order {
    fn page_prefix() -> &'static str {
        "order_page"
    }
}

fn keyed<K: 'static>() -> &'static str {
    if std::any::TypeId::of::<K>() == std::any::TypeId::of::<u8>() { "small" } else { "large" }
}

// The key's type is a parameter, and so is a size.
#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix_with = keyed::<K>, key = "key")]
struct Keyed<K, const N: usize = 4>
where
    K: Copy,
{
    key: K,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix_with = keyed::<K>, key = "{key}.{key}")]
struct Doubled<K> {
    key: K,
}

fn is_entity<T: CacheEntity<Key = K>, K: Display + Hash>() {}

fn main() {
    assert_eq!(Page::<User>::cache_prefix(), "user_page");
    assert_eq!(Page::<Order>::cache_prefix(), "order_page");
    assert_eq!(Page::<User>::cache_schema(), Page::<Order>::cache_schema());
    assert_eq!(Page::<User> { number: 7, items: vec![] }.cache_key(), 7);
    is_entity::<Keyed<u8>, u8>();
    is_entity::<Keyed<u16, 9>, u16>();
    assert_eq!(Keyed::<u8>::cache_prefix(), "small");
    assert_eq!(Doubled { key: 'x' }.cache_key(), "x.x");
}
