//! [`RecordingMetrics`]: a listener that keeps what it hears.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::observability::{CacheEvent, CacheMetrics};

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
    heard: Arc<Mutex<Vec<(String, Heard)>>>,
    wants_durations: bool,
}

/// What a [`RecordingMetrics`] has heard: one variant for each method of [`CacheMetrics`]. Durations
/// are zero without [`RecordingMetrics::with_durations`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Heard {
    /// The cache answered, this long after it was asked.
    Hit(Duration),
    /// The cache had no answer, this long after it was asked.
    Miss(Duration),
    /// An entity was stored, which took this long.
    Stored(Duration),
    /// The key was invalidated, which took this long.
    Invalidated(Duration),
    /// The backend or the repository failed, with this text.
    Error(String),
    /// Any other event.
    Event(CacheEvent),
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
        self.all(|heard| match heard {
            Heard::Error(text) => Some(text.clone()),
            _ => None,
        })
    }

    /// The events that have no count of their own, each with its key.
    pub fn events(&self) -> Vec<(String, CacheEvent)> {
        self.all(|heard| match heard {
            Heard::Event(event) => Some(event.clone()),
            _ => None,
        })
    }

    /// Everything, in the order in which it was heard, each with its key.
    pub fn heard(&self) -> Vec<(String, Heard)> {
        self.lock().clone()
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
        self.lock().clear();
    }

    fn count(&self, counts: impl Fn(&str) -> bool) -> HeardCounts {
        let mut counted = HeardCounts::default();
        for (_, heard) in self.lock().iter().filter(|(key, _)| counts(key)) {
            *match heard {
                Heard::Hit(_) => &mut counted.hits,
                Heard::Miss(_) => &mut counted.misses,
                Heard::Stored(_) => &mut counted.stores,
                Heard::Invalidated(_) => &mut counted.invalidations,
                Heard::Error(_) => &mut counted.errors,
                Heard::Event(_) => &mut counted.events,
            } += 1;
        }
        counted
    }

    fn all<O>(&self, wanted: impl Fn(&Heard) -> Option<O>) -> Vec<(String, O)> {
        let heard = self.lock();
        let wanted = |(key, heard): &(String, Heard)| Some((key.clone(), wanted(heard)?));
        heard.iter().filter_map(wanted).collect()
    }

    fn hear(&self, key: &str, heard: Heard) {
        self.lock().push((key.to_owned(), heard));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(String, Heard)>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[deny(clippy::missing_trait_methods)]
impl CacheMetrics for RecordingMetrics {
    fn record_hit(&self, key: &str, duration: Duration) {
        self.hear(key, Heard::Hit(duration));
    }

    fn record_miss(&self, key: &str, duration: Duration) {
        self.hear(key, Heard::Miss(duration));
    }

    fn record_set(&self, key: &str, duration: Duration) {
        self.hear(key, Heard::Stored(duration));
    }

    fn record_delete(&self, key: &str, duration: Duration) {
        self.hear(key, Heard::Invalidated(duration));
    }

    fn record_error(&self, key: &str, error: &str) {
        self.hear(key, Heard::Error(error.to_owned()));
    }

    fn record_event(&self, key: &str, event: &CacheEvent) {
        self.hear(key, Heard::Event(event.clone()));
    }

    fn wants_durations(&self) -> bool {
        self.wants_durations
    }
}

#[cfg(test)]
mod tests;
