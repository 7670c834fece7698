use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", validate = Self::check())]
struct User {
    id: u64,
}

impl User {
    fn check(&self) -> cache_kit::Result<()> {
        Ok(())
    }
}

fn main() {}
