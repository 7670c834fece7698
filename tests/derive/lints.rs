//! Lint attributes on a type apply to the code that is generated for it.
#![deny(warnings, deprecated, non_snake_case, non_camel_case_types)]

use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeed, CacheFeeder, CacheSchema};
use serde::{Deserialize, Serialize};

/// Code outside that names one of these allows it itself.
mod deprecated {
    use super::*;

    #[deprecated]
    #[derive(Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(key = "id")]
    pub(super) struct User {
        pub(super) id: u64,
    }

    #[deprecated(note = "use another one")]
    #[derive(Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(key("id", "code"))]
    pub(super) struct Typed {
        pub(super) id: u64,
        pub(super) code: String,
    }

    #[deprecated]
    #[derive(Clone, Serialize, Deserialize, CacheSchema)]
    pub(super) struct Nested {
        pub(super) city: String,
    }

    #[derive(Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(key = "{id}")]
    pub(super) struct Fields {
        #[deprecated]
        pub(super) id: u64,
        #[deprecated = "no more"]
        pub(super) other: u64,
    }

    #[allow(deprecated, reason = "it is full of them")]
    #[derive(Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(key = "id")]
    pub(super) struct Holder {
        pub(super) id: u64,
        pub(super) nested: Vec<Nested>,
    }

    #[derive(Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(key_with = Self::id, key_type = u64)]
    pub(super) enum Variants {
        #[deprecated]
        A(u64),
        B {
            #[deprecated]
            id: u64,
        },
    }

    impl Variants {
        #[allow(deprecated, reason = "it reads them")]
        fn id(&self) -> u64 {
            match self {
                Self::A(id) | Self::B { id } => *id,
            }
        }
    }

    #[deprecated]
    #[derive(CacheFeeder)]
    #[feeder(entity = Holder, key = "id")]
    pub(super) struct GetHolder {
        pub(super) id: u64,
    }

    #[deprecated]
    #[derive(CacheFeeder)]
    #[feeder(entity = Holder)]
    pub(super) struct HolderFeeder {
        #[feeder(key)]
        pub(super) id: u64,
        #[feeder(entity)]
        pub(super) holder: Option<Arc<Holder>>,
    }

    #[allow(deprecated, reason = "the entity is")]
    #[derive(CacheFeeder)]
    #[feeder(entity = User, key = "id")]
    pub(super) struct GetUser {
        pub(super) id: u64,
    }
}

#[allow(non_snake_case, reason = "the names are another system's")]
#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("orderId", "itemId"))]
struct Item {
    orderId: String,
    itemId: u64,
}

#[allow(non_camel_case_types, reason = "the names are another system's")]
#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("shop", "id"))]
struct order_item {
    shop: Shop,
    id: u64,
}

#[expect(non_camel_case_types, reason = "the names are another system's")]
#[derive(CacheFeeder)]
#[feeder(entity = order_item, key("shop", "id"))]
struct get_item<'a> {
    shop: &'a Shop,
    id: u64,
}

#[expect(non_snake_case, reason = "the names are another system's")]
#[derive(CacheFeeder)]
#[feeder(entity = Item, key = "ItemKey::new(ORDER.clone(), *ITEM)")]
struct ByExpression {
    ORDER: String,
    ITEM: u64,
}

/// A part with a type that the derive does not know.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Shop(u64);

impl std::fmt::Display for Shop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The names of the prefixes do not matter here.
#[doc(hidden)]
#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("a", "b"))]
struct Hidden {
    a: u8,
    b: u8,
}

#[test]
#[allow(deprecated, reason = "that is what is tried")]
fn nothing_that_is_generated_is_reported() {
    let user = deprecated::User { id: 1 };
    let mut feeder = deprecated::GetUser { id: 1 }.into_feeder();
    assert_eq!(feeder.entity_id(), user.cache_key());
    let typed = deprecated::Typed {
        id: 1,
        code: "a".into(),
    };
    assert_eq!(typed.cache_key().to_string(), "1:a");
    let fields = deprecated::Fields { id: 1, other: 2 };
    assert_eq!((fields.cache_key().as_str(), fields.other), ("1", 2));
    let nested = vec![deprecated::Nested { city: "x".into() }];
    let holder = deprecated::Holder { id: 1, nested };
    assert_eq!(holder.nested[0].city.len(), 1);
    let mut feeder = deprecated::GetHolder { id: 1 }.into_feeder();
    assert_eq!(feeder.entity_id(), holder.cache_key());
    let mut feeder = deprecated::HolderFeeder {
        id: 1,
        holder: None,
    };
    assert_eq!(feeder.entity_id(), 1);
    assert!(feeder.holder.is_none());
    let variants = [
        deprecated::Variants::A(1),
        deprecated::Variants::B { id: 2 },
    ];
    assert_eq!(variants.map(|variant| variant.cache_key()), [1, 2]);

    let item = Item {
        orderId: "a".into(),
        itemId: 1,
    };
    let request = ByExpression {
        ORDER: "a".into(),
        ITEM: 1,
    };
    assert_eq!(request.into_feeder().entity_id(), item.cache_key());
    let shop = Shop(7);
    let request = get_item { shop: &shop, id: 1 };
    let item = order_item {
        shop: shop.clone(),
        id: 1,
    };
    assert_eq!(request.into_feeder().entity_id(), item.cache_key());
    assert_eq!(Hidden { a: 1, b: 2 }.cache_key().to_string(), "1:2");
}
