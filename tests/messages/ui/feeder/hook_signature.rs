use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
}

#[derive(CacheFeeder)]
#[feeder(
    entity = User,
    validate = Self::is_fine,
    on_hit = no_arguments,
    on_miss = missing,
    on_loaded = of_another
)]
struct UserFeeder {
    #[feeder(key)]
    id: String,
    #[feeder(entity)]
    user: Option<Arc<User>>,
}

impl UserFeeder {
    fn is_fine(&self) -> bool {
        true
    }
}

fn no_arguments() -> cache_kit::Result<()> {
    Ok(())
}

fn of_another(_: &mut UserFeeder, _: &str) -> cache_kit::Result<()> {
    Ok(())
}

#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id", validate = check, on_hit = GetUserFeeder::note)]
struct GetUser {
    id: String,
}

async fn check(_: &GetUser) -> cache_kit::Result<()> {
    Ok(())
}

impl GetUserFeeder {
    fn note(&mut self, _: &str) -> cache_kit::Result<()> {
        Ok(())
    }
}

fn main() {}
