use cache_kit::{CacheEntity, DataRepository, Result};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(kye = "id")]
struct User {
    id: u64,
}

struct Users;

impl DataRepository<User> for Users {
    async fn fetch_by_id(&self, id: &u64) -> Result<Option<User>> {
        Ok(Some(User { id: *id }))
    }
}

fn main() {}
