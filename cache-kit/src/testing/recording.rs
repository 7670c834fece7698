//! [`RecordingMetrics`]: a listener that keeps what it hears.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::observability::{CacheEvent, CacheMetrics, StoreEvent, Subject};
use crate::strategy::CacheStrategy;

/// A listener that keeps everything that a service tells it, in order, until [`clear`](Self::clear).
/// Clones share it: give one to the service, and keep one.
///
/// ```
/// # use cache_kit::CacheEntity;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct User { id: u64 }
/// # impl CacheEntity for User {
/// #     type Key = u64;
/// #     fn cache_key(&self) -> u64 { self.id }
/// #     fn cache_prefix() -> &'static str { "user" }
/// # }
/// use cache_kit::backend::InMemoryBackend;
/// use cache_kit::testing::{FakeRepository, RecordingMetrics};
/// use cache_kit::{CacheExpander, CacheService};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cache_kit::Result<()> {
/// let metrics = RecordingMetrics::new();
/// let expander = CacheExpander::new(InMemoryBackend::new()).with_metrics(metrics.boxed());
/// let table = FakeRepository::new();
/// table.insert(User { id: 1 });
/// let users = CacheService::from(expander).repository(table);
///
/// users.get(&1).await?;
/// users.get(&1).await?;
/// users.get(&2).await?;
/// assert_eq!((metrics.hits(), metrics.misses(), metrics.stores()), (1, 2, 1));
/// assert_eq!(metrics.counts_of("user:1").hits, 1);
/// assert!(metrics.errors().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct RecordingMetrics {
    all: Arc<Mutex<All>>,
    wants_durations: bool,
}

#[derive(Debug, Default)]
struct All {
    heard: Vec<Heard>,
    of_store: Vec<StoreEvent>,
}

/// An event of a key that a [`RecordingMetrics`] has heard. Durations are zero without
/// [`RecordingMetrics::with_durations`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Heard {
    /// The whole cache key, `user:42`.
    pub key: String,
    /// The namespace of the service, if it has one.
    pub namespace: Option<String>,
    /// The prefix of the entity, if it is known.
    pub prefix: Option<&'static str>,
    /// The strategy of the call, if it has one.
    pub strategy: Option<CacheStrategy>,
    /// What happened.
    pub event: CacheEvent,
}

/// How often a [`RecordingMetrics`] has heard what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HeardCounts {
    /// Look-ups that the cache answered.
    pub hits: usize,
    /// Look-ups that it did not answer.
    pub misses: usize,
    /// Entities that were stored.
    pub stores: usize,
    /// Keys that were invalidated.
    pub invalidations: usize,
    /// Failures of the backend or the repository.
    pub errors: usize,
    /// Other events.
    pub events: usize,
}

impl RecordingMetrics {
    /// A listener that has heard nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for durations, by the machine's clock. Default: they are zero, so that what is heard can
    /// be compared. A service asks once, when it is made: set it before [`boxed`](Self::boxed).
    pub fn with_durations(mut self) -> Self {
        self.wants_durations = true;
        self
    }

    /// A clone for [`CacheExpander::with_metrics`](crate::CacheExpander::with_metrics).
    pub fn boxed(&self) -> Box<dyn CacheMetrics> {
        Box::new(self.clone())
    }

    /// How many look-ups the cache answered.
    pub fn hits(&self) -> usize {
        self.counts().hits
    }

    /// How many look-ups the cache did not answer.
    pub fn misses(&self) -> usize {
        self.counts().misses
    }

    /// How many entities were stored.
    pub fn stores(&self) -> usize {
        self.counts().stores
    }

    /// How many keys were invalidated.
    pub fn invalidations(&self) -> usize {
        self.counts().invalidations
    }

    /// The failures of the backend and the repository, each with its key: `user:42`.
    pub fn errors(&self) -> Vec<(String, String)> {
        self.select(|event| match event {
            CacheEvent::Failed { error, .. } | CacheEvent::LoadFailed { error, .. } => {
                Some(error.clone())
            }
            _ => None,
        })
    }

    /// The events that have no count of their own, each with its key.
    pub fn events(&self) -> Vec<(String, CacheEvent)> {
        self.select(|event| (Count::of(event) == Count::Events).then(|| event.clone()))
    }

    /// Everything that happened to keys, in the order in which it was heard.
    pub fn heard(&self) -> Vec<Heard> {
        self.lock().heard.clone()
    }

    /// Everything that happened to the store, in the order in which it was heard.
    pub fn store_events(&self) -> Vec<StoreEvent> {
        self.lock().of_store.clone()
    }

    /// How often it has heard what.
    pub fn counts(&self) -> HeardCounts {
        self.count(|_| true)
    }

    /// How often it has heard what of `key`: the whole cache key, `user:42`.
    pub fn counts_of(&self, key: &str) -> HeardCounts {
        self.count(|heard| heard == key)
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.lock() = All::default();
    }

    fn count(&self, counts: impl Fn(&str) -> bool) -> HeardCounts {
        let mut counted = HeardCounts::default();
        let all = self.lock();
        for heard in all.heard.iter().filter(|heard| counts(&heard.key)) {
            *match Count::of(&heard.event) {
                Count::Hits => &mut counted.hits,
                Count::Misses => &mut counted.misses,
                Count::Stores => &mut counted.stores,
                Count::Invalidations => &mut counted.invalidations,
                Count::Errors => &mut counted.errors,
                Count::Events => &mut counted.events,
            } += 1;
        }
        counted
    }

    fn select<O>(&self, wanted: impl Fn(&CacheEvent) -> Option<O>) -> Vec<(String, O)> {
        let wanted = |heard: &Heard| Some((heard.key.clone(), wanted(&heard.event)?));
        self.lock().heard.iter().filter_map(wanted).collect()
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which count an event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    Hits,
    Misses,
    Stores,
    Invalidations,
    Errors,
    Events,
}

impl Count {
    fn of(event: &CacheEvent) -> Self {
        match event {
            CacheEvent::Hit { .. } => Self::Hits,
            CacheEvent::Miss { .. } => Self::Misses,
            CacheEvent::Stored { .. } => Self::Stores,
            CacheEvent::Invalidated { .. } => Self::Invalidations,
            CacheEvent::Failed { .. } | CacheEvent::LoadFailed { .. } => Self::Errors,
            _ => Self::Events,
        }
    }
}

impl CacheMetrics for RecordingMetrics {
    fn record(&self, subject: &Subject<'_>, event: &CacheEvent) {
        let heard = Heard {
            key: subject.key.to_owned(),
            namespace: subject.namespace.map(str::to_owned),
            prefix: subject.prefix,
            strategy: subject.strategy,
            event: event.clone(),
        };
        self.lock().heard.push(heard);
    }

    fn record_store(&self, event: &StoreEvent) {
        self.lock().of_store.push(event.clone());
    }

    fn wants_durations(&self) -> bool {
        self.wants_durations
    }
}

#[cfg(test)]
mod tests;
