//! Size and validation, and the version.
use cache_kit::{CacheEntity, Error, Result};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", max_bytes = "64 KiB", validate = Self::check, version = 2)]
struct User {
    id: u64,
}

impl User {
    fn check(&self) -> Result<()> {
        match self.id {
            0 => Err(Error::ValidationError("a user has an id".to_owned())),
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", max_bytes = 1_000, validate = checks::<Order>)]
struct Order {
    id: u64,
}

fn checks<T: CacheEntity<Key = u64>>(entity: &T) -> Result<()> {
    assert_eq!(entity.cache_key(), 7);
    Ok(())
}

fn main() {
    assert_eq!(User::cache_max_bytes(), Some(65_536));
    assert!(User { id: 0 }.cache_validate().is_err());
    assert!(User { id: 1 }.cache_validate().is_ok());
    assert_eq!(Order::cache_max_bytes(), Some(1_000));
    assert!(Order { id: 7 }.cache_validate().is_ok());
}
