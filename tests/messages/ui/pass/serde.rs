//! What serde is told and postcard carries.
use cache_kit::{CacheEntity, CacheSchema};
use serde::{Deserialize, Serialize};

// Stands in for the crate: what is converted may be of any type.
mod serde_json {
    #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
    pub struct Value;
}

mod as_text {
    pub(crate) fn serialize<S: serde::Serializer>(
        _: &super::serde_json::Value,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("{}")
    }

    pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<super::serde_json::Value, D::Error> {
        <String as serde::Deserialize>::deserialize(deserializer)?;
        Ok(super::serde_json::Value)
    }
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct User {
    #[serde(alias = "user_id")]
    id: u64,
    #[serde(default, rename = "name")]
    full_name: Option<String>,
    #[serde(skip)]
    #[cache(skip_ok)]
    seen: u32,
    #[cache(skip_ok)]
    #[serde(skip_serializing, skip_deserializing)]
    visits: u32,
    #[serde(with = "as_text")]
    attributes: serde_json::Value,
    // There is nothing in it to be lost.
    #[serde(skip)]
    of: std::marker::PhantomData<u8>,
}

#[derive(Clone, Serialize, Deserialize, CacheSchema)]
struct Login {
    #[serde(skip)]
    #[cache(skip_ok)]
    password_hash: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "0")]
#[serde(transparent)]
struct Name(String);

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key_with = Self::id, key_type = u64)]
enum Animal {
    #[serde(rename = "felis")]
    Cat(u64),
    #[serde(skip)]
    Unknown,
}

impl Animal {
    fn id(&self) -> u64 {
        match self {
            Self::Cat(id) => *id,
            Self::Unknown => 0,
        }
    }
}

fn main() {
    let user = User {
        id: 1,
        full_name: None,
        seen: 0,
        visits: 0,
        attributes: serde_json::Value,
        of: std::marker::PhantomData,
    };
    assert!(Login { password_hash: String::new() }.password_hash.is_empty());
    assert_eq!((user.cache_key(), user.seen + user.visits), (1, 0));
    assert!(user.full_name.is_none());
    let _ = user.attributes;
    assert_eq!(Name("n".into()).cache_key(), "n");
    assert_eq!(Animal::Cat(2).cache_key() + Animal::Unknown.cache_key(), 2);
}
