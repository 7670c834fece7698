use std::sync::Arc;

use cache_kit::backend::InMemoryBackend;
use cache_kit::{
    CacheEntity, CacheFeeder, CacheService, CacheStrategy, DataRepository, Result,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "user_di")]
struct User {
    user_id: u64,
    name: String,
}

// Nothing follows from it here.
struct Users;

impl DataRepository<User> for Users {
    async fn fetch_by_id(&self, id: &u64) -> Result<Option<User>> {
        let name = format!("user {}", id + 1);
        Ok(Some(User { user_id: *id, name }))
    }
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id")]
struct GetUser {
    id: u64,
}

#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct UserFeeder {
    #[feeder(key)]
    id: u64,
    #[feeder(entity)]
    user: Option<Arc<User>>,
}

async fn ask(cache: CacheService<InMemoryBackend>) -> Result<()> {
    let mut feeder = GetUser { id: 1 }.into_feeder();
    cache.execute(&mut feeder, &Users, CacheStrategy::Refresh).await?;
    let mut feeder = UserFeeder { id: 1, user: None };
    cache.execute(&mut feeder, &Users, CacheStrategy::Refresh).await?;
    let user = User { user_id: 1, name: String::new() };
    assert_eq!(user.cache_key(), 1);
    Ok(())
}

fn main() {
    let _ = ask;
}
