use cache_kit::backend::InMemoryBackend;
use cache_kit::{
    CacheEntity, CacheFeeder, CacheService, CacheStrategy, InMemoryRepository, Result,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: u64,
    name: String,
}

#[derive(CacheFeeder)]
#[feeder(for_type = User, key = "id")]
struct GetUser {
    id: u64,
}

// Nothing follows from it here.
async fn ask(cache: CacheService<InMemoryBackend>, users: InMemoryRepository<User>) -> Result<()> {
    let mut feeder = GetUser { id: 1 }.into_feeder();
    cache.execute(&mut feeder, &users, CacheStrategy::Refresh).await?;
    println!("{:?}", feeder.into_entity().map(|user| user.name.clone()));
    Ok(())
}

fn main() {
    let _ = ask;
}
