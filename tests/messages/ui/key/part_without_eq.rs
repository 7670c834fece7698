use std::fmt;

use cache_kit::{CacheEntity, DataRepository, Result};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
struct Code(u8);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("shop", "code"))]
struct Item {
    shop: u64,
    code: Code,
}

struct Items;

impl DataRepository<Item> for Items {
    async fn fetch_by_id(&self, key: &ItemKey) -> Result<Option<Item>> {
        println!("{key} {key:?} {}", key.clone() == ItemKey::new(1, Code(2)));
        Ok(None)
    }
}

fn main() {}
