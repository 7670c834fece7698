//! What a listener hears: [`CacheEvent`] of a key, with its [`Subject`], and [`StoreEvent`] of the
//! store behind the cache.

use std::time::Duration;

use crate::backend::EvictionCause;
use crate::error::ErrorKind;
use crate::lease::MissReason;
use crate::strategy::CacheStrategy;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subject<'e> {
    /// The whole cache key, `shop:user:42`.
    pub key: &'e str,
    /// The namespace of the service, `shop`, if it has one.
    pub namespace: Option<&'e str>,
    /// The prefix of the entity, `user`. There are few of them, so it makes a good label. `None` for
    /// keys that come as text and without a type: those of
    /// [`invalidate_text`](crate::CacheService::invalidate_text) and of invalidations that are given up
    /// in the background.
    pub prefix: Option<&'static str>,
    /// The strategy of the call. `None` outside of a call that has one: for
    /// [`invalidate`](crate::CacheService::invalidate), and in the background of a backend.
    pub strategy: Option<CacheStrategy>,
}

impl<'e> Subject<'e> {
    /// A key of which nothing else is known; for the tests of a listener.
    pub fn new(key: &'e str) -> Self {
        Self {
            key,
            namespace: None,
            prefix: None,
            strategy: None,
        }
    }
}

/// Something that happened to a key: see [`CacheMetrics::record`](super::CacheMetrics::record).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheEvent {
    /// The cache answered.
    Hit {
        /// What it answered with.
        answer: HitAnswer,
        /// How old the answer is: the time since it was loaded.
        age: Duration,
        /// How long the look-up took; zero if durations are not wanted.
        duration: Duration,
    },
    /// The cache had no answer.
    Miss {
        /// How long the look-up took; zero if durations are not wanted.
        duration: Duration,
    },
    /// The repository answered.
    Loaded {
        /// Whether it has such a row.
        found: bool,
        /// How long it took, retries included; zero if durations are not wanted.
        duration: Duration,
    },
    /// The repository failed, or its answer could not be used.
    LoadFailed {
        /// What went wrong: [`ErrorKind::Timeout`] is the load deadline, [`ErrorKind::Panicked`] a
        /// panic.
        kind: ErrorKind,
        /// The error in one line. It contains the key.
        error: String,
        /// How long it took, retries included; zero if durations are not wanted.
        duration: Duration,
    },
    /// A loaded entity, or the knowledge that there is none, was stored.
    Stored {
        /// How long the store took; zero if durations are not wanted.
        duration: Duration,
    },
    /// The key was invalidated.
    Invalidated {
        /// How long it took; zero if durations are not wanted.
        duration: Duration,
    },
    /// The backend failed, or another call's load gave no answer in time.
    Failed {
        /// What was to be done: `get`, `lease`, `store`, `release`, `invalidate`, `clear`, or `wait` for
        /// another call's load.
        operation: &'static str,
        /// What went wrong.
        kind: ErrorKind,
        /// The error in one line.
        error: String,
    },
    /// The call joined another call's load.
    Shared,
    /// A load failed and is retried.
    Retried {
        /// Which retry it is, from 1.
        retry: u32,
    },
    /// A loaded entity was not stored, because the key was invalidated or stored meanwhile.
    Fenced,
    /// A loaded entity was larger than the store takes.
    TooLarge,
    /// A loaded entity was not stored, because the store failed; [`Failed`](Self::Failed) said why.
    NotStored,
    /// A loaded entity was not sent to the store, because it could not be read back as it is.
    Unstorable {
        /// The Rust name of its type.
        entity: &'static str,
        /// Why: the path of the field if it is known, never a value.
        reason: String,
    },
    /// A stale entry was served.
    StaleServed,
    /// A call has begun to refresh an entry, which is answered meanwhile.
    Refreshing {
        /// Whether it was still within its time to live.
        ahead: bool,
    },
    /// An entry was to be refreshed, but another process is doing so.
    RefreshedElsewhere,
    /// An entry was not refreshed in the background, because as much is going on there as is allowed
    /// ([`CacheExpander::with_background_tasks`](crate::CacheExpander::with_background_tasks)), the
    /// service has been drained, or there is no runtime.
    RefreshSkipped,
    /// An invalidation has not been confirmed and will be sent again.
    InvalidationPending,
    /// The store has refused an invalidation for too long, and it is not sent any more: the old
    /// value may be served until its own time to live ends.
    InvalidationGivenUp,
    /// The look-up found something that is not an entry of this key, an entry of another schema, or
    /// an entity that fails its validation. It counts as a miss, and the next load overwrites it.
    Discarded {
        /// [`MissReason::Damaged`], [`MissReason::OtherSchema`] or [`MissReason::Invalid`].
        reason: MissReason,
    },
    /// The memory dropped an entry to make room, or for being idle.
    Evicted {
        /// Why.
        cause: EvictionCause,
        /// How old it was at the last store: the time since it was loaded.
        age: Duration,
    },
}

/// What the cache answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HitAnswer {
    /// An entity within its time to live.
    Fresh,
    /// An entity past its time to live.
    Stale,
    /// The knowledge that there is no entity.
    Absent,
}

impl HitAnswer {
    pub(crate) fn of(found: bool, stale: bool) -> Self {
        match (found, stale) {
            (_, true) => Self::Stale,
            (true, false) => Self::Fresh,
            (false, false) => Self::Absent,
        }
    }
}

/// Something that happened to the store behind a cache: see
/// [`CacheMetrics::record_store`](super::CacheMetrics::record_store). `node` is the address of a server,
/// without user and password, or a number if the store does not name its servers. Errors of our own
/// stores contain no keys and values; those of a store of yours are told as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreEvent {
    /// A command was answered, or failed.
    Command {
        /// `get`, `lease`, `store`, `release`, `invalidate` or `scan`.
        operation: &'static str,
        /// How long it took, a second try and a new connection included; zero if durations are not
        /// wanted.
        duration: Duration,
        /// What it failed with, for at least one of its keys. A refusal is [`ErrorKind::Backend`], too.
        failed: Option<ErrorKind>,
    },
    /// A command failed: its server could not be reached, did not answer in time, or does not serve
    /// now, because it is a replica or still loading, for example.
    Failed {
        /// The server.
        node: String,
        /// What the command was, as of [`Command`](Self::Command).
        operation: &'static str,
        /// What it failed with.
        error: String,
    },
    /// A server answered, but did not do a command: its user lacks a permission, it is read-only or
    /// out of memory.
    Refused {
        /// The server.
        node: String,
        /// What the command was, as of [`Command`](Self::Command).
        operation: &'static str,
        /// What it said.
        error: String,
    },
    /// A breaker opened: nothing is sent to the server for a while. Reads of its keys are misses,
    /// loads are not stored, invalidations wait.
    BreakerOpened {
        /// The server.
        node: String,
        /// What the last command failed with.
        error: String,
    },
    /// A server answers again, after commands that had [failed](Self::Failed). If its breaker had
    /// opened, [`BreakerClosed`](Self::BreakerClosed) is told, too.
    Recovered {
        /// The server.
        node: String,
    },
    /// A breaker closed, since the server answers again.
    BreakerClosed {
        /// The server.
        node: String,
    },
    /// The number of invalidations that wait for the store has changed.
    PendingInvalidations {
        /// The store, by the address of its first server.
        store: String,
        /// How many wait.
        count: usize,
    },
    /// How many entries the memory keeps. Told after stores, at most once a second.
    Entries {
        /// How many, expired ones included.
        count: u64,
    },
}
