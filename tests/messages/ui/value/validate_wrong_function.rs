use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", validate = Self::is_fine)]
struct User {
    id: u64,
}

impl User {
    fn is_fine(&self) -> bool {
        self.id > 0
    }
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", validate = check)]
struct Order {
    id: u64,
}

fn check(id: u64) -> cache_kit::Result<()> {
    drop(id);
    Ok(())
}

fn main() {}
