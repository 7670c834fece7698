//! One store that several builds read and write.
//!
//! A build is a service with its own types over the store that all builds share. Each value is kept
//! in an entity that states nothing about its schema, so only what the cache finds out itself
//! distinguishes one type from another.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use cache_kit::backend::{CacheBackend, Encoded, LeaseId, LeaseRequest, Leased, Lookup, Take};
use cache_kit::clock::{Clock, Timestamp};
use cache_kit::entry::Entry;
use cache_kit::observability::{CacheEvent, CacheMetrics, StoreResult};
use cache_kit::{
    CacheEntity, CacheExpander, CacheStrategy, Error, InMemoryRepository, Outcome, Result,
    SharedFeeder,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[path = "../../../examples/byte_store.rs"]
#[allow(dead_code, reason = "an example of its own, which has a main")]
mod byte_store;

/// A value that can be kept.
pub trait Value: Clone + fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Clone + fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static> Value for T {}

/// An entity around a value. If the value is read wrong, so is the field after it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Kept<T: Value> {
    id: u64,
    /// The value.
    pub value: T,
    last: String,
}

impl<T: Value> Kept<T> {
    /// The entity `id`.
    pub fn new(id: u64, value: T) -> Self {
        Self {
            id,
            value,
            last: "last".to_owned(),
        }
    }
}

impl<T: Value> CacheEntity for Kept<T> {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "kept"
    }
}

/// The store that all builds share.
#[derive(Debug, Clone)]
pub struct Store(Encoded<byte_store::MapStore>);

/// What a listener got.
#[derive(Debug, Clone, Default)]
pub struct Told(Arc<Mutex<Vec<CacheEvent>>>);

impl CacheMetrics for Told {
    fn record_event(&self, _: &str, event: &CacheEvent) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.push(event.clone());
    }
}

impl Told {
    /// The outcome of a call, and the matching event.
    pub fn judge(&self, outcome: Outcome) -> Stored {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = told.iter().find_map(|event| match event {
            CacheEvent::Unstorable { entity, reason } => Some(format!("{entity}: {reason}")),
            _ => None,
        });
        match (outcome.store(), outcome.degraded().store, refused) {
            (StoreResult::Stored, false, None) => Stored::Stored,
            (StoreResult::Failed, true, Some(reason)) => Stored::Refused(reason),
            other => Stored::Refused(format!("unexpected: {other:?}")),
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self(Encoded::over(byte_store::MapStore::default()))
    }
}

/// The fate of a value.
#[derive(Debug)]
pub enum Stored {
    /// It is in the store.
    Stored,
    /// It was refused before it was sent, with its type and the reason.
    Refused(String),
}

const ID: u64 = 7;
const KEY: &str = "kept:7";

impl Store {
    /// Puts `value` into the store directly, without the service: hundreds of types compile in half
    /// the time.
    ///
    /// # Errors
    /// Whatever the store answers with.
    pub fn put<T: Value>(&self, value: T) -> impl Future<Output = Result<()>> {
        self.put_entity(Kept::new(ID, value))
    }

    /// The same with an entity that is not a [`Kept`].
    ///
    /// # Errors
    /// Whatever the store answers with.
    pub async fn put_entity<T: CacheEntity>(&self, entity: T) -> Result<()> {
        let now = Clock::system().now();
        let entry = Entry {
            value: Some(Arc::new(entity)),
            created: now,
            stale_from: Timestamp::NEVER,
            expires: Timestamp::NEVER,
            load_millis: 0,
            pinned: false,
        };
        let request = LeaseRequest {
            id: LeaseId(1 << 32),
            take: Take::Over,
            now,
        };
        match self.0.lease::<T>(KEY, request).await? {
            Leased::Granted { lease, .. } => CacheBackend::store(&self.0, KEY, lease, entry, now)
                .await
                .map(|_| ()),
            _ => Err(Error::BackendError("no lease".to_owned())),
        }
    }

    /// Gets what another build may have stored.
    ///
    /// # Errors
    /// Whatever the store answers with.
    pub async fn get<T: Value>(&self) -> Result<Option<T>> {
        let found = self.get_entity::<Kept<T>>().await?;
        Ok(found.map(|kept| kept.value.clone()))
    }

    /// The same with an entity that is not a [`Kept`].
    ///
    /// # Errors
    /// Whatever the store answers with.
    pub async fn get_entity<T: CacheEntity>(&self) -> Result<Option<Arc<T>>> {
        // A backend of its own, as another process has it.
        let build = Encoded::over(self.0.byte_store().clone());
        Ok(match build.get::<T>(KEY, Clock::system().now()).await? {
            Lookup::Hit { entry, .. } => entry.value,
            Lookup::Miss { .. } => None,
        })
    }

    /// Loads `value` in a build that stores it.
    ///
    /// # Errors
    /// Whatever the cache answers with.
    pub async fn load<T: Value>(&self, value: T) -> Result<Stored> {
        let told = Told::default();
        let build = CacheExpander::new(self.0.clone()).with_metrics(Box::new(told.clone()));
        let rows = InMemoryRepository::new();
        rows.insert(ID, Kept::new(ID, value));
        let mut feeder = SharedFeeder::<Kept<T>>::new(ID);
        let outcome = build
            .with(&mut feeder, &rows, CacheStrategy::Bypass)
            .await?;
        Ok(told.judge(outcome))
    }

    /// Reads what another build may have stored, in a build that has no database.
    ///
    /// # Errors
    /// Whatever the cache answers with.
    pub async fn read<T: Value>(&self) -> Result<Option<T>> {
        // A backend of its own, as another process has it.
        let build = CacheExpander::new(Encoded::over(self.0.byte_store().clone()));
        let nothing = InMemoryRepository::<Kept<T>>::new();
        let mut feeder = SharedFeeder::<Kept<T>>::new(ID);
        build
            .with(&mut feeder, &nothing, CacheStrategy::Fresh)
            .await?;
        Ok(feeder.entity.map(|kept| kept.value.clone()))
    }
}
