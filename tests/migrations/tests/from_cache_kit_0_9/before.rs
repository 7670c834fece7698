//! A service on cache-kit 0.9.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_kit_0_9::backend::{CacheBackend, InMemoryBackend};
use cache_kit_0_9::feed::GenericFeeder;
use cache_kit_0_9::observability::CacheMetrics;
use cache_kit_0_9::{
    CacheEntity, CacheFeed, CacheService, CacheStrategy, DataRepository, Error, Result,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};

use super::Log;

/// The id of a row that is not valid.
pub(super) const INVALID: u64 = 400;
/// The id of a row that cannot be loaded.
pub(super) const BROKEN: u64 = 501;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) name: String,
}

impl CacheEntity for User {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "user"
    }

    fn validate(&self) -> Result<()> {
        match self.id {
            INVALID => Err(Error::ValidationError("not valid".to_string())),
            _ => Ok(()),
        }
    }
}

pub(super) struct Users;

impl DataRepository<User> for Users {
    async fn fetch_by_id(&self, id: &u64) -> Result<Option<User>> {
        match *id {
            404 => Ok(None),
            BROKEN => Err(Error::RepositoryError("refused".to_string())),
            id => Ok(Some(ann(id))),
        }
    }
}

fn ann(id: u64) -> User {
    let name = "Ann".to_string();
    User { id, name }
}

pub(super) fn memory() -> CacheService<InMemoryBackend> {
    CacheService::new(InMemoryBackend::new())
}

pub(super) async fn read<B: CacheBackend>(cache: &CacheService<B>, id: u64) -> Result<User> {
    read_from(cache, id, &Users).await
}

pub(super) async fn read_from<B, R>(cache: &CacheService<B>, id: u64, users: &R) -> Result<User>
where
    B: CacheBackend,
    R: DataRepository<User>,
{
    let mut feeder = GenericFeeder::new(id);
    cache
        .execute(&mut feeder, users, CacheStrategy::Refresh)
        .await?;
    feeder.data.ok_or(Error::CacheMiss)
}

pub(super) async fn invalidate<B: CacheBackend>(cache: &CacheService<B>, id: u64) -> Result<()> {
    invalidate_from(cache, id, &Users).await
}

pub(super) async fn invalidate_from<B, R>(cache: &CacheService<B>, id: u64, users: &R) -> Result<()>
where
    B: CacheBackend,
    R: DataRepository<User>,
{
    let mut feeder = GenericFeeder::<User>::new(id);
    cache
        .execute(&mut feeder, users, CacheStrategy::Invalidate)
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
) -> Result<()> {
    let mut feeder = Feeder::new(id, log);
    cache
        .execute(&mut feeder, &Users, CacheStrategy::Refresh)
        .await
}

/// Logs what it hears.
pub(super) struct Listener(pub(super) Log);

impl CacheMetrics for Listener {
    fn record_hit(&self, key: &str, _duration: Duration) {
        self.0.add(format!("hit {key}"));
    }

    fn record_miss(&self, key: &str, _duration: Duration) {
        self.0.add(format!("miss {key}"));
    }

    fn record_set(&self, key: &str, _duration: Duration) {
        self.0.add(format!("set {key}"));
    }

    fn record_delete(&self, key: &str, _duration: Duration) {
        self.0.add(format!("delete {key}"));
    }
}

/// A table of one row whose loads read at once, and stop at a gate before they answer.
pub(super) struct Gated {
    name: Arc<Mutex<&'static str>>,
    asked: watch::Sender<usize>,
    gate: Semaphore,
}

impl Default for Gated {
    fn default() -> Self {
        Self {
            name: Arc::new(Mutex::new("Ann")),
            asked: watch::Sender::new(0),
            gate: Semaphore::new(0),
        }
    }
}

impl Gated {
    pub(super) fn rename(&self, name: &'static str) {
        *self.name.lock().unwrap() = name;
    }

    pub(super) async fn asked(&self, loads: usize) {
        self.asked
            .subscribe()
            .wait_for(|asked| *asked >= loads)
            .await
            .unwrap();
    }

    pub(super) fn open(&self) {
        self.gate.add_permits(1_000);
    }

    /// Lets the loads through once there are so many.
    pub(super) async fn open_after(&self, loads: usize) {
        self.asked(loads).await;
        self.open();
    }

    /// The same table, which answers at once.
    pub(super) fn without_gate(&self) -> Self {
        let name = Arc::clone(&self.name);
        let other = Self {
            name,
            ..Self::default()
        };
        other.open();
        other
    }
}

impl DataRepository<User> for Gated {
    async fn fetch_by_id(&self, id: &u64) -> Result<Option<User>> {
        let name = self.name.lock().unwrap().to_string();
        self.asked.send_modify(|asked| *asked += 1);
        let _passed = self.gate.acquire().await;
        Ok(Some(User { id: *id, name }))
    }
}
