use std::time::Duration;

use cache_kit::CacheEntity;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

// Stand in for the crates.
macro_rules! helper {
    ($ty:ty) => {
        pub fn serialize<S: Serializer>(_: &$ty, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_unit()
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(_: D) -> Result<$ty, D::Error> {
            unimplemented!()
        }
    };
}

mod serde_with {
    use super::*;

    pub mod rust {
        pub mod double_option {
            use super::super::*;

            helper!(Option<Option<String>>);
        }
    }

    pub struct As<T>(T);
    pub struct Same;
    pub struct OneOrMany<T>(T);

    impl As<OneOrMany<Same>> {
        helper!(Vec<u8>);
    }
}

mod rust_decimal {
    pub mod serde {
        pub mod float {
            use crate::*;

            helper!(Duration);
        }
    }
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Note {
    id: u64,
    #[serde(with = "serde_with::rust::double_option")]
    note: Option<Option<String>>,
    #[serde(with = "serde_with :: As::<serde_with::OneOrMany<serde_with::Same>>")]
    tags: Vec<u8>,
    #[serde(
        serialize_with = "rust_decimal::serde::float::serialize",
        deserialize_with = "rust_decimal::serde::float::deserialize"
    )]
    price: Duration,
}

fn main() {}
