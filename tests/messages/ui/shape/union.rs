use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, CacheEntity)]
#[cache(key = "id")]
union Number {
    id: u64,
    other: i64,
}

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self { id: 0 })
    }
}

fn main() {}
