//! Publishes loaded rows: to all followers, and to the cache.

use std::any::type_name;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::{CacheBackend, Stored, Take};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::observability::{CacheEvent, Degraded, Outcome, Source, StoreResult};
use crate::policy::{Validity, lifetime};
use crate::repository::DataRepository;
use crate::trace::Span;
use crate::unwind::caught_saying;

use super::retry::Fetched;
use super::{Completed, HeldLease, Led, Loads, Then, commands};

/// A row whose followers have been answered.
struct Published<B: CacheBackend, T> {
    led: Led<B>,
    value: Option<Arc<T>>,
    store: StoreResult,
    /// Whether an older entry may still stand, since this one took its place neither way.
    unsettled: bool,
}

impl<B, T, R> Loads<'_, B, T, R>
where
    B: CacheBackend,
    T: CacheEntity,
    R: DataRepository<T> + ?Sized,
{
    /// Answers all followers, then stores. A row that fails its validation is an error of its own
    /// key. The load took `duration`, if a listener wants to know.
    pub(super) async fn publish_and_store(
        &self,
        group: Vec<Led<B>>,
        fetched: Fetched<Vec<Option<T>>>,
        duration: Duration,
    ) -> Result<Vec<Then<B, T>>> {
        let created = fetched.created;
        let mut published = Vec::with_capacity(group.len());
        let mut unfit = Vec::new();
        for (led, row) in group.into_iter().zip(fetched.value) {
            let id = self.calls[led.miss.slot].id;
            let value = match fit::<T>(row, id, self.named) {
                Ok(row) => row.map(Arc::new),
                Err(error) => {
                    unfit.push((led, error));
                    continue;
                }
            };
            // Before the store is awaited, and before any user code that may panic, so that neither
            // can affect the followers.
            led.leader
                .complete(Ok(Completed::of(&value, created, false)));
            let found = value.is_some();
            self.expander.reports.log.loaded(T::cache_prefix());
            let loaded = CacheEvent::Loaded { found, duration };
            self.expander
                .tell(self.of, self.calls[led.miss.slot].key, &loaded);
            published.push(Published {
                led,
                value,
                store: StoreResult::NotTried,
                unsettled: true,
            });
        }
        self.store(&mut published, created, fetched.took).await;

        let mut then = Vec::with_capacity(published.len());
        for row in published {
            let Published {
                led,
                value,
                store,
                unsettled,
            } = row;
            let key = self.calls[led.miss.slot].key;
            let turns = &self.expander.turns;
            match unsettled {
                true => turns.not_stored::<T>(key, self.expander.clock.now()),
                false => turns.succeeded::<T>(key),
            }
            let outcome = Outcome::of(Source::Repository)
                .stored(store)
                .invalidated(led.invalidated);
            then.push(self.answered(&led.miss, value, created, outcome, led.degraded));
        }
        let mut failed = None;
        for (led, error) in unfit {
            match self.fail(vec![led], error, duration).await {
                Ok(answered) => then.extend(answered),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(then), Err)
    }

    /// Stores all rows that have a lease and a lifetime, all at once, and gives up the other
    /// leases.
    async fn store(&self, published: &mut [Published<B, T>], created: Timestamp, took: Duration) {
        let (mut places, mut stores) = (Vec::new(), Vec::new());
        let mut releases = Vec::new();
        let mut removes = vec![false; published.len()];
        for (place, row) in published.iter().enumerate() {
            let Some(mut held) = row.led.leader.take_lease() else {
                continue;
            };
            let key = self.calls[row.led.miss.slot].key;
            let entry = match self.entry(&row.value, created, took) {
                Some(entry) => entry,
                // What the lease was taken over is no answer any more.
                None if row.value.is_none() && row.led.miss.take == Some(Take::Over) => Entry {
                    value: None,
                    created,
                    stale_from: created,
                    expires: created,
                    load_millis: 0,
                    pinned: false,
                },
                None => {
                    releases.push((key, held));
                    continue;
                }
            };
            if let Some(lease) = held.use_up() {
                removes[place] = entry.expires <= created;
                places.push((place, held));
                stores.push((key, lease, entry));
            }
        }

        if !stores.is_empty() {
            let since = self.expander.stopwatch();
            let now = self.expander.clock.now();
            let span = Span::store(stores.len());
            let storing = pin!(commands::store::<T, B>(&self.expander.backend, stores, now));
            let answers = span.around(storing).await;
            for ((place, held), answer) in places.into_iter().zip(answers) {
                held.answered(answer.as_ref().err());
                let row = &mut published[place];
                let key = self.calls[row.led.miss.slot].key;
                row.unsettled = answer.is_err();
                if removes[place] && answer.is_ok() {
                    continue;
                }
                row.store = self.judge_store(key, since, answer, &mut row.led.degraded);
            }
        }
        self.release(releases).await;
    }

    /// The entry to store, if any.
    fn entry(
        &self,
        value: &Option<Arc<T>>,
        created: Timestamp,
        took: Duration,
    ) -> Option<Entry<T>> {
        let ttl = lifetime(
            self.config.ttl,
            &self.expander.ttl_policy,
            T::cache_prefix(),
            T::cache_ttl(),
            self.expander.backend.default_ttl(),
        );
        let rules = self.expander.rules(Some(&self.config.freshness));
        let validity = match value {
            Some(_) => {
                let ttl = ttl.jittered(rules.jitter::<T>(), fastrand::f64());
                Validity::of_entity(ttl, rules.grace::<T>())?
            }
            None => Validity::of_absence(ttl, rules.negative_ttl::<T>())?,
        };
        let of_call = value.is_none() && self.config.freshness.sets_negative_ttl();
        Some(Entry {
            value: value.clone(),
            created,
            stale_from: created.after(validity.fresh),
            expires: created.after(validity.whole),
            load_millis: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
            pinned: self.config.ttl.is_some() || of_call,
        })
    }

    /// Turns the answer to a store into the call's result, and tells the listener.
    fn judge_store(
        &self,
        key: &str,
        since: Option<std::time::Instant>,
        answer: Result<Stored>,
        degraded: &mut Degraded,
    ) -> StoreResult {
        let expander = self.expander;
        match answer {
            Ok(Stored::Stored) => {
                expander.tell_stored(self.of, key, since);
                StoreResult::Stored
            }
            Ok(Stored::Fenced) => {
                expander.tell(self.of, key, &CacheEvent::Fenced);
                StoreResult::Fenced
            }
            Ok(Stored::TooLarge) => {
                expander.tell(self.of, key, &CacheEvent::TooLarge);
                StoreResult::TooLarge
            }
            Err(error) => {
                expander.tell_failure(self.of, key, "store", &error);
                let event = match error {
                    Error::SerializationError(reason) => CacheEvent::Unstorable {
                        entity: type_name::<T>(),
                        reason,
                    },
                    _ => CacheEvent::NotStored,
                };
                expander.tell(self.of, key, &event);
                degraded.store = true;
                StoreResult::Failed
            }
        }
    }

    /// Gives up leases that will not be filled. After a failure they simply expire.
    pub(super) async fn release(&self, releases: Vec<(&str, HeldLease<B>)>) {
        let (mut keys, mut leases) = (Vec::new(), Vec::new());
        for (key, mut held) in releases {
            if let Some(lease) = held.use_up() {
                keys.push((key, held));
                leases.push((key, lease));
            }
        }
        if leases.is_empty() {
            return;
        }
        let answers = commands::release::<T, B>(&self.expander.backend, leases).await;
        for ((key, held), answer) in keys.into_iter().zip(answers) {
            // A second try would fail in the same way.
            held.answered(None);
            if let Err(error) = answer {
                self.expander.tell_failure(self.of, key, "release", &error);
            }
        }
    }
}

/// Checks that a row is the one asked for, and that it passes its validation.
///
/// # Errors
/// [`Error::RepositoryError`] if it is another row; the error of its validation;
/// [`Error::Panicked`] if the validation panics.
fn fit<T: CacheEntity>(row: Option<T>, id: &T::Key, named: &'static str) -> Result<Option<T>> {
    let Some(entity) = &row else {
        return Ok(None);
    };
    let checked = caught_saying(|| {
        let key = entity.cache_key();
        if key != *id {
            return Err(Error::RepositoryError(format!(
                "{named} was asked for `{id}` and gave the row of `{key}`"
            )));
        }
        entity.cache_validate()
    });
    checked.unwrap_or_else(|said| Err(Error::Panicked(said)))?;
    Ok(row)
}
