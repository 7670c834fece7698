//! [`Log`]: warnings about a cache that cannot do its work. Everything here would otherwise go
//! unnoticed, since the repository answers in its place. Each is limited for itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::limits::Limits;
use crate::backend::NodeHealth;
use crate::error::Error;
use crate::lease::MissReason;
#[cfg(feature = "codec")]
use crate::observability::StoreEvent;
use crate::observability::{CacheEvent, Subject};

/// The warnings of one service or one store.
pub(crate) struct Log {
    limits: Mutex<Limits<Topic>>,
    /// What is not over, as far as was said, and when it happened last: these servers do not answer,
    /// invalidations wait for this store, loads of these entities fail.
    alarms: Mutex<HashMap<Alarm, Duration>>,
    /// Whether there may be one; read without the lock.
    alarmed: AtomicBool,
    made: Instant,
    shows_keys: bool,
}

/// What is the matter, and with which server, store or entity.
type Alarm = (&'static str, Box<str>);

/// What a warning is about: its kind, what it says more exactly, and an entity or a server.
type Topic = (&'static str, &'static str, Box<str>);

#[cfg(feature = "codec")]
const SILENT: &str = "silent";
#[cfg(feature = "codec")]
const WAITING: &str = "waiting";
const HIDDEN: &str = "hidden";

/// How long no load of an entity must have failed before loads count as successful: a single row may
/// fail among many that do not.
const CALM: Duration = Duration::from_secs(10);

/// How many alarms are remembered.
const ALARMS: usize = 1_024;

impl Log {
    /// Shows keys and what errors say of them from now on.
    pub(crate) fn show_keys(&mut self) {
        self.shows_keys = true;
    }

    /// What happened to a key, if it is worth a warning.
    pub(crate) fn key(&self, subject: &Subject<'_>, event: &CacheEvent) {
        let (kind, detail) = match event {
            CacheEvent::Unstorable { entity, .. } => ("unstorable", *entity),
            CacheEvent::TooLarge => ("too large", ""),
            CacheEvent::InvalidationPending => ("pending", ""),
            CacheEvent::InvalidationGivenUp => ("given up", ""),
            CacheEvent::Discarded { reason } => ("discarded", discarded(*reason)),
            _ => return,
        };
        let about = subject.prefix.unwrap_or_default();
        let count = match event {
            CacheEvent::Discarded { .. } => match self.piles_up(kind, detail, about) {
                Some(count) => count,
                None => return,
            },
            _ => 1,
        };
        let Some(left_out) = self.admit(kind, detail, about) else {
            return;
        };
        let entity = subject.prefix;
        let namespace = subject.namespace;
        let key = self.shows_keys.then_some(subject.key);
        match event {
            CacheEvent::Unstorable { entity: of, reason } => warn!(
                target: "cache_kit",
                left_out,
                cache.entity = entity,
                cache.namespace = namespace,
                cache.key = key,
                entity.type_name = of,
                reason,
                "entities of this type are not cached: they could not be read back as they are"
            ),
            CacheEvent::TooLarge => warn!(
                target: "cache_kit",
                left_out,
                cache.entity = entity,
                cache.namespace = namespace,
                cache.key = key,
                "an entity was not cached: it is larger than its type or the store allows"
            ),
            CacheEvent::InvalidationPending => warn!(
                target: "cache_kit",
                left_out,
                cache.entity = entity,
                cache.namespace = namespace,
                cache.key = key,
                "an invalidation has not reached the cache store, and will be sent again: other \
                 processes may still see the old value"
            ),
            CacheEvent::InvalidationGivenUp => error!(
                target: "cache_kit",
                left_out,
                cache.entity = entity,
                cache.namespace = namespace,
                cache.key = key,
                "the cache store has refused an invalidation for too long, and it was given up: \
                 the old value may be served until it expires"
            ),
            CacheEvent::Discarded { .. } => warn!(
                target: "cache_kit",
                left_out,
                cache.entity = entity,
                cache.namespace = namespace,
                cache.key = key,
                count,
                "{detail}"
            ),
            _ => {}
        }
    }

    /// A load failed, but no caller hears of it: a stale entry answers, or it ran in the background.
    pub(crate) fn hidden(&self, subject: &Subject<'_>, error: &Error) {
        let about = subject.prefix.unwrap_or_default();
        let Some(left_out) = self.alarm(HIDDEN, HIDDEN, about) else {
            return;
        };
        warn!(
            target: "cache_kit",
            left_out,
            cache.entity = subject.prefix,
            cache.namespace = subject.namespace,
            cache.key = self.shows_keys.then_some(subject.key),
            error.kind = %error.kind(),
            error = self.shows_keys.then(|| tracing::field::debug(error)),
            "a load failed; older entries are served meanwhile"
        );
    }

    /// A load of this entity succeeded.
    #[inline]
    pub(crate) fn loaded(&self, entity: &'static str) {
        if self.alarmed.load(Ordering::Relaxed) && self.is_over(HIDDEN, entity, CALM) {
            info!(target: "cache_kit", { cache.entity = entity }, "loads succeed again");
        }
    }

    /// What happened to the store, if it is worth a line.
    #[cfg(feature = "codec")]
    pub(crate) fn store(&self, event: &StoreEvent) {
        match event {
            StoreEvent::Failed {
                node,
                operation,
                error,
            } => {
                if let Some(left_out) = self.alarm(SILENT, "failed", node) {
                    warn!(
                        target: "cache_kit",
                        left_out,
                        cache.node = node,
                        cache.operation = operation,
                        error,
                        "the cache store failed; the repository answers in its place"
                    );
                }
            }
            StoreEvent::Refused {
                node,
                operation,
                error,
            } => {
                if let Some(left_out) = self.admit("refused", operation, node) {
                    warn!(
                        target: "cache_kit",
                        left_out,
                        cache.node = node,
                        cache.operation = operation,
                        error,
                        "the cache store refused a command"
                    );
                }
            }
            StoreEvent::BreakerOpened { node, error } => {
                if let Some(left_out) = self.alarm(SILENT, "opened", node) {
                    warn!(
                        target: "cache_kit",
                        left_out,
                        cache.node = node,
                        error,
                        "the cache store does not answer: until it does, nothing is sent to it, \
                         and the repository answers in its place"
                    );
                }
            }
            StoreEvent::Recovered { node } if self.is_over(SILENT, node, Duration::ZERO) => info!(
                target: "cache_kit",
                { cache.node = node },
                "the cache store answers again"
            ),
            StoreEvent::PendingInvalidations { store, count: 0 }
                if self.is_over(WAITING, store, Duration::ZERO) =>
            {
                info!(
                    target: "cache_kit",
                    { cache.node = store },
                    "no invalidation waits for the cache store any more"
                );
            }
            // The service says so for each entity.
            StoreEvent::PendingInvalidations { store, count: 1.. } => {
                self.raise(WAITING, store);
            }
            _ => {}
        }
    }

    /// Whether to say it: `Some`, with how often it was left out, if it was.
    fn admit(&self, kind: &'static str, detail: &'static str, about: &str) -> Option<Option<u64>> {
        let now = self.made.elapsed();
        let left_out = self.limits().admit((kind, detail, about.into()), now)?;
        Some((left_out > 0).then_some(left_out))
    }

    fn piles_up(&self, kind: &'static str, detail: &'static str, about: &str) -> Option<u64> {
        let now = self.made.elapsed();
        self.limits().piles_up((kind, detail, about.into()), now)
    }

    /// Whether to warn of what is wrong with `about`: as [`admit`](Self::admit), and always if nothing was
    /// said of it yet, or last that it is over.
    fn alarm(&self, alarm: &'static str, kind: &'static str, about: &str) -> Option<Option<u64>> {
        let news = self.raise(alarm, about);
        let admitted = self.admit(kind, "", about);
        admitted.or_else(|| news.then_some(None))
    }

    /// Notes that it happens; whether that is news.
    fn raise(&self, alarm: &'static str, about: &str) -> bool {
        let mut alarms = self.alarms();
        if alarms.len() >= ALARMS {
            alarms.clear();
        }
        self.alarmed.store(true, Ordering::Relaxed);
        let before = alarms.insert((alarm, about.into()), self.made.elapsed());
        before.is_none()
    }

    /// Whether to say that it is over, if it has not happened for as long as `calm`. All-clears are limited
    /// as warnings are. One that is left out leaves the alarm as it is: the last line may be too dark, but
    /// not too bright.
    fn is_over(&self, alarm: &'static str, about: &str, calm: Duration) -> bool {
        let mut alarms = self.alarms();
        let known = (alarm, about.into());
        let now = self.made.elapsed();
        let is_calm = (alarms.get(&known)).is_some_and(|last| now.saturating_sub(*last) >= calm);
        let said = is_calm && self.admit(alarm, "over", about).is_some();
        if said {
            alarms.remove(&known);
            self.alarmed.store(!alarms.is_empty(), Ordering::Relaxed);
        }
        said
    }

    fn alarms(&self) -> MutexGuard<'_, HashMap<Alarm, Duration>> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limits(&self) -> MutexGuard<'_, Limits<Topic>> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which backend a URL has chosen: what a variable of the environment says is easily missed.
pub(crate) fn chosen(backend: &'static str, nodes: &[NodeHealth]) {
    let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let names = names.join(", ");
    let nodes = (!nodes.is_empty()).then_some(names.as_str());
    info!(
        target: "cache_kit",
        { cache.backend = backend, cache.nodes = nodes },
        "a cache is set up"
    );
}

/// What entries that cannot be used mean.
fn discarded(reason: MissReason) -> &'static str {
    match reason {
        MissReason::OtherSchema => {
            "many entries have another schema and are loaded again: another version of the service \
             writes under the same keys, or did until lately"
        }
        MissReason::Invalid => "many entries do not pass their validation and are loaded again",
        _ => {
            "many entries cannot be read and are loaded again: something else writes under the \
             same keys"
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            limits: Mutex::new(Limits::new()),
            alarms: Mutex::default(),
            alarmed: AtomicBool::new(false),
            made: Instant::now(),
            shows_keys: false,
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("shows_keys", &self.shows_keys)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(cache_kit_model)))]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn what_fails_never_counts_as_over_however_often_it_changes() {
        let log = Log::default();
        let (mut lines, mut over) = (0, true);
        for second in 0..10_000_u64 {
            if log.alarm("silent", "failed", "node").is_some() {
                (lines, over) = (lines + 1, false);
            }
            assert!(!over, "at {second} s");
            tokio::time::advance(SECOND * u32::try_from(second % 7).unwrap_or_default()).await;
            if log.is_over("silent", "node", Duration::ZERO) {
                (lines, over) = (lines + 1, true);
            }
            tokio::time::advance(SECOND).await;
        }
        assert!((3..100).contains(&lines), "{lines}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_that_fails_among_others_is_not_over() {
        let log = Log::default();
        assert!(!log.is_over(HIDDEN, "user", CALM), "nothing has happened");
        for _ in 0..100 {
            let _ = log.alarm(HIDDEN, HIDDEN, "user");
            tokio::time::advance(SECOND * 3).await;
            assert!(!log.is_over(HIDDEN, "user", CALM));
        }
        tokio::time::advance(CALM).await;
        assert!(!log.is_over(HIDDEN, "order", CALM));
        assert!(log.is_over(HIDDEN, "user", CALM));
        assert!(!log.is_over(HIDDEN, "user", CALM), "it was said");
    }
}
