//! What a miss does: find the flight of the key, or lead one and store what it brings.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use crate::backend::{CacheBackend, Fence, LeaseId, Take};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::flight::{Arrival, Boarding, Leader, Tick};
use crate::observability::{CacheEvent, Degraded, Source, StoreResult};
use crate::repository::DataRepository;
use crate::shards::TypedKey;

use super::CacheExpander;
use super::ask::Call;
use super::attempt::attempt;
use super::lease::{Held, Hold};
use super::store::Loaded;

/// What a flight lands with: it serves every entity type, so the entity is type-erased.
pub(super) type Landing = Result<Landed>;

#[derive(Clone)]
pub(super) struct Landed {
    value: Option<Arc<dyn Any + Send + Sync>>,
    created: Timestamp,
    /// Whether it was in the cache after all.
    cached: bool,
}

/// What a miss brought.
pub(super) struct Fetched<T> {
    pub(super) value: Option<Arc<T>>,
    pub(super) created: Timestamp,
    pub(super) source: Source,
    pub(super) store: StoreResult,
    pub(super) degraded: Degraded,
}

impl<B: CacheBackend> CacheExpander<B> {
    /// Loads the key of `call`, or joins the flight that does. `take` says which lease to store
    /// under; `None` stores nothing. A call that may join says in `boarding` when its look-up
    /// began and which fence it saw.
    pub(super) async fn fetch<T, R>(
        &self,
        call: &Call<'_, T>,
        repository: &R,
        take: Option<Take>,
        boarding: Option<(Tick, Option<Fence>)>,
    ) -> Result<Fetched<T>>
    where
        T: CacheEntity,
        R: DataRepository<T> + ?Sized,
    {
        let key = TypedKey::of::<T>(call.key);
        let id = LeaseId(fastrand::u64(..));
        let Some((began, seen)) = boarding else {
            let leader = self.flights.lead(&key, id);
            return self.lead(call, repository, take, leader).await;
        };
        loop {
            let leader = match self.flights.board(&key, began, seen, id) {
                Boarding::Lead(leader) => leader,
                Boarding::Join(passenger) => match passenger.await {
                    Arrival::Landed(landing) => return self.arrive(call, landing),
                    Arrival::Lead(leader) => leader,
                },
                Boarding::Stand(bystander) => {
                    bystander.await;
                    continue;
                }
            };
            return self.lead(call, repository, take, leader).await;
        }
    }

    /// Takes what another call's flight landed with.
    pub(super) fn arrive<T: CacheEntity>(
        &self,
        call: &Call<'_, T>,
        landing: Landing,
    ) -> Result<Fetched<T>> {
        let landed = landing?;
        let value = match landed.value.map(Arc::downcast::<T>).transpose() {
            Ok(value) => value,
            Err(_) => {
                let error = Error::BackendError("a shared load brought another type".into());
                return Err(error.during("load", call.key));
            }
        };
        let source = if landed.cached {
            Source::Cache
        } else {
            self.event(call.key, CacheEvent::Shared);
            Source::Shared
        };
        Ok(Fetched {
            value,
            created: landed.created,
            source,
            store: StoreResult::NotTried,
            degraded: Degraded::default(),
        })
    }

    /// Loads for everybody aboard.
    async fn lead<T, R>(
        &self,
        call: &Call<'_, T>,
        repository: &R,
        take: Option<Take>,
        mut leader: Leader<Held<B>, Landing>,
    ) -> Result<Fetched<T>>
    where
        T: CacheEntity,
        R: DataRepository<T> + ?Sized,
    {
        let mut degraded = Degraded::default();
        if leader.wants_lease() {
            if take.is_none() {
                // A store that is known to be down fails without waiting. Those who ask in the same
                // moment get a chance to board before the load begins.
                tokio::task::yield_now().await;
            }
            leader.sending();
            match self
                .take_lease(call, take, leader.lease_id(), &mut degraded)
                .await?
            {
                Hold::Lease(lease, fence) => leader.granted(lease, fence),
                Hold::Nothing => leader.refused(),
                Hold::Entry(entry) => {
                    leader.refused();
                    leader.land(Ok(Landed::of(&entry.value, entry.created, true)));
                    return Ok(Fetched {
                        value: entry.value,
                        created: entry.created,
                        source: Source::Cache,
                        store: StoreResult::NotTried,
                        degraded,
                    });
                }
            }
        }

        let since = Instant::now();
        let loaded = attempt(
            || async { valid(repository.fetch_by_id(call.id).await?) },
            call.config.retries,
            call.config.load_deadline.unwrap_or(self.load_deadline),
            |retry| self.event(call.key, CacheEvent::Retried { retry }),
        )
        .await;
        // What the flight lands with is fixed before the store is awaited, so that a leader that is
        // dropped while it stores leaves nobody to load again.
        let lease = leader.take_lease();
        match loaded {
            Ok(value) => {
                let entry = Loaded {
                    value: value.map(Arc::new),
                    created: self.clock.now(),
                    load_time: since.elapsed(),
                };
                self.event(
                    call.key,
                    CacheEvent::Loaded {
                        duration: entry.load_time,
                    },
                );
                leader.land(Ok(Landed::of(&entry.value, entry.created, false)));
                let store = self.keep(call, lease, &entry, &mut degraded).await;
                Ok(Fetched {
                    value: entry.value,
                    created: entry.created,
                    source: Source::Repository,
                    store,
                    degraded,
                })
            }
            Err(error) => {
                let error = error.during("load", call.key);
                self.report(call.key, &error);
                leader.land(Err(error.clone()));
                self.release(call, lease).await;
                Err(error)
            }
        }
    }
}

impl Landed {
    pub(super) fn of<T: CacheEntity>(
        value: &Option<Arc<T>>,
        created: Timestamp,
        cached: bool,
    ) -> Self {
        Self {
            value: value.clone().map(|value| value as _),
            created,
            cached,
        }
    }
}

/// A row that the entity itself finds fit to be served.
///
/// # Errors
/// What it finds wrong.
pub(super) fn valid<T: CacheEntity>(row: Option<T>) -> Result<Option<T>> {
    if let Some(entity) = &row {
        entity.cache_validate()?;
    }
    Ok(row)
}
