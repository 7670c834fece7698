//! Entities that a macro of the user's writes.
use cache_kit::{CacheEntity, CacheSchema};
use serde::{Deserialize, Serialize};

macro_rules! entity {
    ($name:ident, $prefix:literal, $ttl:literal, $version:literal, $key:ident: $ty:ty, $check:path) => {
        #[derive(Clone, Serialize, Deserialize, CacheEntity)]
        #[cache(prefix = $prefix, ttl = $ttl, version = $version, validate = $check)]
        struct $name {
            #[cache(key)]
            $key: $ty,
            part: Option<Part>,
        }
    };
}

#[derive(Clone, Serialize, Deserialize, CacheSchema)]
struct Part(u8);

fn fine<T>(_: &T) -> cache_kit::Result<()> {
    Ok(())
}

entity!(User, "user", "1h", 2, id: u64, fine);
entity!(Order, "order", "1m", 1, number: String, crate::fine);

fn main() {
    let user = User { id: 1, part: Some(Part(0)) };
    assert!(user.cache_validate().is_ok());
    assert_eq!(user.cache_key(), 1);
    assert_eq!(user.part.map(|part| part.0), Some(0));
    assert_eq!(Order { number: "n".into(), part: None }.cache_key(), "n");
}
