//! What becomes of a loaded entity in the cache.

use std::any::type_name;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backend::{CacheBackend, Stored};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::observability::{CacheEvent, Degraded, StoreResult};
use crate::policy::{OperationConfig, Span, lifetime};

use super::CacheExpander;
use super::ask::Call;
use super::lease::Held;

/// What the repository answered with.
pub(super) struct Loaded<T> {
    pub(super) value: Option<Arc<T>>,
    pub(super) created: Timestamp,
    pub(super) load_time: Duration,
}

impl<B: CacheBackend> CacheExpander<B> {
    /// Stores what was loaded under `lease`, or gives the lease up.
    pub(super) async fn keep<T: CacheEntity>(
        &self,
        call: &Call<'_, T>,
        lease: Option<Held<B>>,
        loaded: &Loaded<T>,
        degraded: &mut Degraded,
    ) -> StoreResult {
        let Some(entry) = self.entry(call.config, loaded) else {
            self.release(call, lease).await;
            return StoreResult::NotTried;
        };
        let Some(lease) = lease.and_then(Held::into_lease) else {
            return StoreResult::NotTried;
        };
        let since = self.stopwatch();
        let now = self.clock.now();
        let answer = self.backend.store(call.key, lease, entry, now).await;
        self.judge_store::<T>(call.key, since, answer, degraded)
    }

    /// The entry that is to be stored, if any is.
    pub(super) fn entry<T: CacheEntity>(
        &self,
        config: &OperationConfig,
        loaded: &Loaded<T>,
    ) -> Option<Entry<T>> {
        let ttl = lifetime(
            config.ttl,
            &self.ttl_policy,
            T::cache_prefix(),
            T::cache_ttl(),
            self.backend.default_ttl(),
        );
        let span = match &loaded.value {
            Some(_) => Span::of_entity(ttl, T::cache_stale())?,
            None => Span::of_absence(ttl, T::cache_negative_ttl())?,
        };
        Some(Entry {
            value: loaded.value.clone(),
            created: loaded.created,
            stale_from: loaded.created.after(span.fresh),
            expires: loaded.created.after(span.whole),
            load_millis: u32::try_from(loaded.load_time.as_millis()).unwrap_or(u32::MAX),
        })
    }

    /// Says what an answer means for its call, and tells the listener.
    pub(super) fn judge_store<T: CacheEntity>(
        &self,
        key: &str,
        since: Option<Instant>,
        answer: Result<Stored>,
        degraded: &mut Degraded,
    ) -> StoreResult {
        match answer {
            Ok(Stored::Stored) => {
                if let Some(listener) = &self.listener {
                    listener.stored(key, since);
                }
                StoreResult::Stored
            }
            Ok(Stored::Fenced) => {
                self.event(key, CacheEvent::Fenced);
                StoreResult::Fenced
            }
            Ok(Stored::TooLarge) => {
                self.event(key, CacheEvent::TooLarge);
                StoreResult::TooLarge
            }
            Err(error) => {
                self.report(key, &error);
                if let Error::SerializationError(reason) = error {
                    let entity = type_name::<T>();
                    self.event(key, CacheEvent::Unstorable { entity, reason });
                }
                degraded.store = true;
                StoreResult::Failed
            }
        }
    }
}
