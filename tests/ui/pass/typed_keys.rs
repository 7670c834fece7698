//! Parts that have no order, or cannot be read from text, do not spoil the key.
#![deny(warnings)]

use std::fmt;
use std::str::FromStr;

use cache_kit::CacheEntity;
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

fn main() {
    let one = WithOrder { a: Ordered(1), b: "x:y".into() }.cache_key();
    let two = WithOrder { a: Ordered(2), b: "a".into() }.cache_key();
    assert!(one < two && two > one);
    assert_eq!(one.to_string(), "1:x%3Ay");
    assert_eq!("1:x%3Ay".parse(), Ok(one));
    let key = WithoutOrder("x".into(), Unordered(1)).cache_key();
    assert_eq!(key, WithoutOrderKey("x".into(), Unordered(1)));
    assert_eq!(key.to_string(), "x:1");
}
