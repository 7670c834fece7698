use cache_kit::{CacheEntity, DataRepository, Result};
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Id(u64);

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: Id,
}

struct Users;

impl DataRepository<User> for Users {
    async fn fetch_by_id(&self, _: &Id) -> Result<Option<User>> {
        Ok(None)
    }
}

fn main() {}
