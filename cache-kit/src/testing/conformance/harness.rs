//! [`Harness`]: what the suite needs to know about a store.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::specimen::PREFIX;
use crate::backend::Scope;
use crate::clock::{Clock, Timestamp};
use crate::entity::CacheEntity;
use crate::key::{CacheKey, Namespace};
use crate::testing::ManualClock;

/// How long after its lease lifetime a real store may still keep a lease.
const SLACK: Duration = Duration::from_millis(20);

/// What the suite needs to know about a store: how to make its clients, how its time passes, what
/// it accepts.
///
/// All keys of a harness have one prefix that no other harness has, so suites may run against a
/// shared server at the same time.
pub struct Harness<B> {
    connect: Connect<B>,
    time: Time,
    traits: Traits,
    elsewhere: Option<Connect<B>>,
    lease_lifetime: Duration,
    largest_payload: Option<usize>,
    prefix: String,
    keys: AtomicU64,
}

type Connect<B> = Box<dyn Fn() -> B + Send + Sync>;

/// What stores may differ in. Each is a promise that the suite holds the store to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Traits {
    /// How far acknowledgements reach.
    scope: Scope,
    /// The store removes expired entries by its own time.
    collects_expired: bool,
    /// Entries have a finite time to live by default.
    default_ttl_is_finite: bool,
    /// The store can invalidate a key without knowing the type of its entry.
    invalidates_by_text: bool,
    /// The store can list its keys, and so drop all that begin alike.
    clears: bool,
}

enum Time {
    /// Time passes when the suite says so, for the caller and the store.
    Manual(ManualClock),
    /// Real time; the suite sleeps.
    Real(Clock),
}

impl<B> Harness<B> {
    /// A store inside this process. `connect` is called for every client, and all clients must
    /// share one store: `move || backend.clone()`.
    ///
    /// Its time is a [`ManualClock`] of the harness; a store that reads a clock itself takes
    /// [`clock`](Self::clock).
    pub fn in_process(connect: impl Fn() -> B + Send + Sync + 'static) -> Self {
        let traits = Traits {
            scope: Scope::Everywhere,
            collects_expired: false,
            default_ttl_is_finite: false,
            invalidates_by_text: true,
            clears: true,
        };
        Self::new(connect, Time::Manual(ManualClock::new()), traits)
    }

    /// A store outside this process. `connect` is called for every client and makes a new one,
    /// with connections of its own.
    ///
    /// Time is real, and a few behaviours wait for it: set [`lease_lifetime`](Self::lease_lifetime)
    /// to the lease lifetime of the clients, ideally under a second.
    pub fn remote(connect: impl Fn() -> B + Send + Sync + 'static) -> Self {
        let traits = Traits {
            scope: Scope::Everywhere,
            collects_expired: true,
            default_ttl_is_finite: true,
            invalidates_by_text: true,
            clears: true,
        };
        Self::new(connect, Time::Real(Clock::system()), traits)
    }

    fn new(connect: impl Fn() -> B + Send + Sync + 'static, time: Time, traits: Traits) -> Self {
        Self {
            connect: Box::new(connect),
            time,
            traits,
            elsewhere: None,
            lease_lifetime: Duration::from_secs(10),
            largest_payload: None,
            prefix: format!("conformance-{:016x}", fastrand::u64(..)),
            keys: AtomicU64::new(0),
        }
    }

    /// Declares [`Scope::ThisProcess`]; the backend's
    /// [`scope`](crate::backend::CacheBackend::scope) must say the same. `connect` of the harness makes
    /// clients of this process, and `elsewhere` makes a client of another one. Default:
    /// [`Scope::Everywhere`], and any two clients may be in different processes.
    #[must_use]
    pub fn acknowledges_here(
        mut self,
        others_within: Duration,
        elsewhere: impl Fn() -> B + Send + Sync + 'static,
    ) -> Self {
        self.traits.scope = Scope::ThisProcess { others_within };
        self.elsewhere = Some(Box::new(elsewhere));
        self
    }

    /// Whether the store removes expired entries by its own time, so that nothing stays behind.
    /// Default: yes for [`remote`](Self::remote), no for [`in_process`](Self::in_process).
    #[must_use]
    pub fn collects_expired(mut self, collects: bool) -> Self {
        self.traits.collects_expired = collects;
        self
    }

    /// Whether an entry has a finite time to live by default. It bounds what fences cannot prevent,
    /// such as old values after a failover of the store. Default: yes for [`remote`](Self::remote),
    /// no for [`in_process`](Self::in_process).
    #[must_use]
    pub fn default_ttl_is_finite(mut self, finite: bool) -> Self {
        self.traits.default_ttl_is_finite = finite;
        self
    }

    /// Whether the backend has
    /// [`invalidate_text`](crate::backend::CacheBackend::invalidate_text). Without it, the call must be
    /// an error. Default: yes.
    #[must_use]
    pub fn invalidates_by_text(mut self, does: bool) -> Self {
        self.traits.invalidates_by_text = does;
        self
    }

    /// Whether the backend has [`clear_prefix`](crate::backend::CacheBackend::clear_prefix). Without it,
    /// the call must be an error. Default: yes.
    #[must_use]
    pub fn clears(mut self, does: bool) -> Self {
        self.traits.clears = does;
        self
    }

    /// Lets time pass by `clock` instead: for a store that reads a [`ManualClock`] of its own.
    #[must_use]
    pub fn clock(mut self, clock: ManualClock) -> Self {
        self.time = Time::Manual(clock);
        self
    }

    /// How long a lease lives that is not given up. Default 10 s.
    #[must_use]
    pub fn lease_lifetime(mut self, lifetime: Duration) -> Self {
        self.lease_lifetime = lifetime;
        self
    }

    /// Says that an entry is too large for the store if its [`Specimen`](super::Specimen) has a
    /// payload of more than `bytes`, and that one with a payload of half of that is not. Default:
    /// nothing is too large.
    #[must_use]
    pub fn largest_payload(mut self, bytes: usize) -> Self {
        self.largest_payload = Some(bytes);
        self
    }

    /// Puts every key of this harness under `prefix`, as a namespace does. Default: `conformance-` and 64 random bits.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// A new client of the store.
    pub fn connect(&self) -> B {
        (self.connect)()
    }

    /// The time on the callers' clock.
    pub fn now(&self) -> Timestamp {
        match &self.time {
            Time::Manual(clock) => clock.now(),
            Time::Real(clock) => clock.now(),
        }
    }

    /// Lets at least `duration` pass, for the callers and for the store.
    pub async fn pass(&self, duration: Duration) {
        match &self.time {
            Time::Manual(clock) => clock.advance(duration + Duration::from_millis(1)),
            Time::Real(_) => tokio::time::sleep(duration + SLACK).await,
        }
    }

    /// A cache key that ends in `name` and has not been used.
    pub fn key(&self, name: &str) -> String {
        let number = self.keys.fetch_add(1, Ordering::Relaxed);
        format!("{}:{PREFIX}:{number}:{name}", self.prefix)
    }

    /// Calls `look_up` with the key behind the text `key`, if there is one: the prefix of the harness is
    /// its namespace.
    pub(super) fn typed<T: CacheEntity<Key = String>, R>(
        &self,
        key: &str,
        look_up: impl FnOnce(CacheKey<'_, T>) -> Option<R>,
    ) -> Option<R> {
        let namespace = Namespace::parse(self.prefix.clone()).ok()?;
        let id = key.strip_prefix(&format!("{}:{PREFIX}:", self.prefix))?;
        look_up(CacheKey::within(Some(&namespace), &id.to_owned()))
    }

    /// A client of another process.
    pub(super) fn elsewhere(&self) -> B {
        self.elsewhere.as_ref().unwrap_or(&self.connect)()
    }

    pub(super) fn scope(&self) -> Scope {
        self.traits.scope
    }

    pub(super) fn has_collected_expired(&self) -> bool {
        self.traits.collects_expired
    }

    pub(super) fn has_finite_default_ttl(&self) -> bool {
        self.traits.default_ttl_is_finite
    }

    pub(super) fn has_invalidation_by_text(&self) -> bool {
        self.traits.invalidates_by_text
    }

    pub(super) fn has_clear(&self) -> bool {
        self.traits.clears
    }

    /// Whether time is real, so that the suite waits as little as it can.
    pub(super) fn sleeps(&self) -> bool {
        matches!(self.time, Time::Real(_))
    }

    pub(super) fn limit(&self) -> Option<usize> {
        self.largest_payload
    }

    pub(super) fn lifetime(&self) -> Duration {
        self.lease_lifetime
    }
}

impl<B> fmt::Debug for Harness<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness")
            .field("traits", &self.traits)
            .field("lease_lifetime", &self.lease_lifetime)
            .field("largest_payload", &self.largest_payload)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
