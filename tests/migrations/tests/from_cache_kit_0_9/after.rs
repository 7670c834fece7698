//! The same service on this release.

use cache_kit::backend::CacheBackend;
use cache_kit::{
    CacheEntity, CacheFeed, CacheService, CacheStrategy, DataRepository, Error, Outcome, Result,
    SharedFeeder,
};
use serde::{Deserialize, Serialize};

use super::Log;
use super::before::{BROKEN, INVALID};

#[derive(Clone, Debug, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "user", key = "id", validate = Self::check)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) name: String,
}

impl User {
    fn check(&self) -> Result<()> {
        match self.id {
            INVALID => Err(Error::ValidationError("not valid".to_string())),
            _ => Ok(()),
        }
    }
}

pub(super) struct Users;

impl DataRepository<User> for Users {
    async fn fetch_by_id(&self, id: &u64) -> Result<Option<User>> {
        let name = "Ann".to_string();
        match *id {
            404 => Ok(None),
            BROKEN => Err(Error::RepositoryError("refused".to_string())),
            id => Ok(Some(User { id, name })),
        }
    }
}

pub(super) async fn read<B: CacheBackend>(cache: &CacheService<B>, id: u64) -> Result<Outcome> {
    let mut feeder = SharedFeeder::<User>::new(id);
    cache
        .execute(&mut feeder, &Users, CacheStrategy::Refresh)
        .await
}

/// Logs its hooks.
pub(super) struct Feeder {
    id: u64,
    refuses: bool,
    log: Log,
}

impl Feeder {
    pub(super) fn new(id: u64, log: &Log) -> Self {
        let log = log.clone();
        Self {
            id,
            refuses: false,
            log,
        }
    }

    pub(super) fn refusing(mut self) -> Self {
        self.refuses = true;
        self
    }
}

impl CacheFeed<User> for Feeder {
    fn entity_id(&mut self) -> u64 {
        self.id
    }

    fn feed(&mut self, _entity: Option<User>) {
        self.log.add("feed");
    }

    fn validate(&self) -> Result<()> {
        self.log.add("validate");
        match self.refuses {
            true => Err(Error::ValidationError("refused".to_string())),
            false => Ok(()),
        }
    }

    fn on_loaded(&mut self, _entity: &User) -> Result<()> {
        self.log.add("on_loaded");
        Ok(())
    }

    fn on_miss(&mut self, _key: &str) -> Result<()> {
        self.log.add("on_miss");
        Ok(())
    }

    fn on_hit(&mut self, _key: &str) -> Result<()> {
        self.log.add("on_hit");
        Ok(())
    }
}

pub(super) async fn read_logged<B: CacheBackend>(
    cache: &CacheService<B>,
    id: u64,
    log: &Log,
) -> Result<Outcome> {
    let mut feeder = Feeder::new(id, log);
    cache
        .execute(&mut feeder, &Users, CacheStrategy::Refresh)
        .await
}
