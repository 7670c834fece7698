//! Parts that have no order, or cannot be read from text, do not spoil the key.
#![deny(warnings)]

use std::fmt;
use std::str::FromStr;

use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
use serde::{Deserialize, Serialize};

macro_rules! part {
    ($name:ident $(: $more:ident)*) => {
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize $(, $more)*)]
        pub struct $name(pub u8);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

part!(Unordered);
part!(Ordered: PartialOrd: Ord);

impl FromStr for Ordered {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("a", "b"))]
pub struct WithOrder {
    pub a: Ordered,
    pub b: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("0", "1"))]
pub struct WithoutOrder(pub String, pub Unordered);

// Another key of that name is not in the way of one that is named.
pub struct OrderKey;

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("id", "line"), key_name = "OrderLine", key_derive(Copy, Serialize, serde::Deserialize))]
pub struct Order {
    pub id: u64,
    pub line: u8,
}

/// Nobody else sees it, and yet the entity is public.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Hidden(u64);

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("id"), key_name = "AccountId", key_derive(Serialize))]
pub struct Account {
    id: Hidden,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("id", "line"))]
pub struct Entry {
    id: Hidden,
    line: u8,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key_name = "MarkedId")]
pub struct Marked {
    #[cache(key)]
    id: Hidden,
}

#[derive(CacheFeeder)]
#[feeder(entity = Account, key = "id")]
pub struct GetAccount {
    id: Hidden,
}

fn stored<T: Serialize>(_: &T) {}

fn main() {
    let line = OrderLine::new(1, 2);
    let same = line;
    assert_eq!(Order { id: 1, line: 2 }.cache_key(), same);
    stored(&line);
    let _ = OrderKey;
    let account = Account { id: Hidden(1) }.cache_key();
    stored(&account);
    assert_eq!(account, Hidden(1).into());
    assert_eq!(GetAccount { id: Hidden(1) }.into_feeder().entity_id(), account);
    assert_eq!(Entry { id: Hidden(1), line: 2 }.cache_key().to_string(), "1:2");
    assert_eq!(Marked { id: Hidden(1) }.cache_key(), MarkedId::new(Hidden(1)));
    let one = WithOrder { a: Ordered(1), b: "x:y".into() }.cache_key();
    let two = WithOrder { a: Ordered(2), b: "a".into() }.cache_key();
    assert!(one < two && two > one);
    assert_eq!(one.to_string(), "1:x%3Ay");
    assert_eq!("1:x%3Ay".parse(), Ok(one));
    let key = WithoutOrder("x".into(), Unordered(1)).cache_key();
    assert_eq!(key, WithoutOrderKey("x".into(), Unordered(1)));
    assert_eq!(key.to_string(), "x:1");
}
