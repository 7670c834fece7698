//! The hooks of derived feeders: which struct they get, and when.

use std::sync::Arc;

use cache_kit::backend::InMemoryBackend;
use cache_kit::{
    CacheEntity, CacheFeed, CacheFeedMany, CacheFeeder, CacheService, CacheStrategy, Error,
    InMemoryRepository,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
    locked: bool,
}

fn user(id: &str) -> User {
    User {
        id: id.to_owned(),
        locked: id == "locked",
    }
}

#[derive(CacheFeeder)]
#[feeder(
    entity = User,
    validate = Self::check,
    on_hit = note_hit,
    on_miss = UserFeeder::missed,
    on_loaded = self::loaded
)]
struct UserFeeder {
    #[feeder(key)]
    id: String,
    #[feeder(entity)]
    user: Option<Arc<User>>,
    seen: Vec<String>,
}

impl UserFeeder {
    fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            user: None,
            seen: Vec::new(),
        }
    }

    fn check(&self) -> cache_kit::Result<()> {
        not_empty(&self.id)
    }

    fn missed(&mut self, key: &str) -> cache_kit::Result<()> {
        self.seen.push(format!("miss {key}"));
        Ok(())
    }
}

fn not_empty(id: &str) -> cache_kit::Result<()> {
    if id.is_empty() {
        return Err(Error::ValidationError("no id".to_owned()));
    }
    Ok(())
}

fn note_hit(feeder: &mut UserFeeder, key: &str) -> cache_kit::Result<()> {
    feeder.seen.push(format!("hit {key}"));
    Ok(())
}

fn loaded(feeder: &mut UserFeeder, user: &User) -> cache_kit::Result<()> {
    feeder.seen.push(format!("loaded {}", user.id));
    if user.locked {
        return Err(Error::ValidationError("locked".to_owned()));
    }
    Ok(())
}

/// The hooks of a request get the request, even if they are named `Self::…`.
#[derive(CacheFeeder)]
#[feeder(entity = User, key = "id", validate = Self::check, on_miss = Self::count, on_hit = count)]
#[feeder(on_loaded = Self::<'a, N>::of_user)]
struct GetUser<'a, const N: usize> {
    id: &'a str,
    calls: [usize; N],
}

impl<const N: usize> GetUser<'_, N> {
    fn check(&self) -> cache_kit::Result<()> {
        not_empty(self.id)
    }

    fn count(&mut self, _: &str) -> cache_kit::Result<()> {
        self.calls[0] += 1;
        Ok(())
    }

    fn of_user(&mut self, _: &User) -> cache_kit::Result<()> {
        self.calls[1] += 1;
        Ok(())
    }
}

fn count<const N: usize>(request: &mut GetUser<'_, N>, key: &str) -> cache_kit::Result<()> {
    assert_eq!(key, "user:ada");
    request.calls[2] += 1;
    Ok(())
}

fn service() -> (CacheService<InMemoryBackend>, InMemoryRepository<User>) {
    let users = InMemoryRepository::new();
    for id in ["ada", "locked"] {
        users.insert(id.to_owned(), user(id));
    }
    (CacheService::new(InMemoryBackend::new()), users)
}

#[tokio::test]
async fn hooks_in_place_get_the_feeder() {
    let (cache, users) = service();
    let mut feeder = UserFeeder::new("ada");
    for _ in 0..2 {
        cache
            .execute(&mut feeder, &users, CacheStrategy::Refresh)
            .await
            .unwrap();
    }
    assert_eq!(feeder.seen, ["miss user:ada", "loaded ada", "hit user:ada"]);
    assert!(feeder.user.is_some());

    let mut locked = UserFeeder::new("locked");
    let error = cache
        .execute(&mut locked, &users, CacheStrategy::Refresh)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("locked"), "{error}");
    assert_eq!(locked.user, None);

    let mut nobody = UserFeeder::new("");
    assert!(nobody.validate().is_err());
    cache
        .execute(&mut nobody, &users, CacheStrategy::Refresh)
        .await
        .unwrap_err();
    assert!(nobody.seen.is_empty());
}

#[tokio::test]
async fn hooks_of_a_request_get_the_request() {
    let (cache, users) = service();
    let mut calls = [0; 3];
    for _ in 0..2 {
        let mut feeder = GetUser { id: "ada", calls }.into_feeder();
        cache
            .execute(&mut feeder, &users, CacheStrategy::Refresh)
            .await
            .unwrap();
        calls = feeder.request.calls;
    }
    assert_eq!(calls, [1, 1, 1]);
    assert!(GetUser { id: "", calls }.into_feeder().validate().is_err());
}

#[derive(CacheFeeder)]
#[feeder(entity = User, validate = Self::check, on_hit = Self::on_hit)]
struct Team {
    #[feeder(key)]
    members: Vec<String>,
    #[feeder(entity)]
    users: Vec<Option<Arc<User>>>,
    hits: Vec<usize>,
}

impl Team {
    fn check(&self) -> cache_kit::Result<()> {
        self.members.iter().try_for_each(|id| not_empty(id))
    }

    fn on_hit(&mut self, position: usize, _: &str) -> cache_kit::Result<()> {
        self.hits.push(position);
        Ok(())
    }
}

#[test]
fn a_batch_has_the_same_hooks() {
    let mut team = Team {
        members: vec!["ada".to_owned(), String::new()],
        users: Vec::new(),
        hits: Vec::new(),
    };
    assert!(team.validate().is_err());
    team.members.pop();
    assert!(team.validate().is_ok());
    CacheFeedMany::on_hit(&mut team, 0, "user:ada").unwrap();
    CacheFeedMany::on_miss(&mut team, 0, "user:ada").unwrap();
    CacheFeedMany::on_loaded(&mut team, 0, &user("ada")).unwrap();
    assert_eq!(team.hits, [0]);
    assert_eq!(team.entity_ids(), ["ada"]);
    team.feed_many(vec![None]);
    assert_eq!(team.users, [None]);
}
