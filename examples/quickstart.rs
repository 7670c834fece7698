//! One entity, one repository, one cache: what answers the first request, and what the second?

use cache_kit::backend::InMemoryBackend;
use cache_kit::{CacheEntity, CacheFeeder, CacheService, CacheStrategy, DataRepository};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "user", key = "id")]
struct User {
    id: u64,
    name: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id")]
struct GetUser {
    id: u64,
}

struct Database;

impl DataRepository<User> for Database {
    async fn fetch_by_id(&self, &id: &u64) -> cache_kit::Result<Option<User>> {
        let name = "Ada".into();
        Ok(Some(User { id, name }))
    }
}

#[tokio::main]
async fn main() -> cache_kit::Result<()> {
    let cache = CacheService::new(InMemoryBackend::new());
    for _ in 0..2 {
        let mut feeder = GetUser { id: 42 }.into_feeder();
        let refresh = CacheStrategy::Refresh;
        let outcome = cache.execute(&mut feeder, &Database, refresh).await?;
        let name = feeder.into_entity().map(|user| user.name.clone());
        println!("{name:?} from {:?}", outcome.source());
    }
    Ok(())
}
