//! [`Harness`]: what the suite needs to know about a store.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::testing::ManualClock;

/// How long after its lease lifetime a real store may still keep a lease.
const SLACK: Duration = Duration::from_millis(20);

/// What the suite needs to know about a store: how to make its clients, how its time passes, what
/// it accepts.
///
/// All keys of a harness have one prefix that no other harness has, so suites may run against a
/// shared server at the same time.
pub struct Harness<B> {
    connect: Box<dyn Fn() -> B + Send + Sync>,
    time: Time,
    remote: bool,
    lease_lifetime: Duration,
    largest_payload: Option<usize>,
    prefix: String,
    keys: AtomicU64,
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
        Self::new(connect, Time::Manual(ManualClock::new()), false)
    }

    /// A store outside this process. `connect` is called for every client and makes a new one,
    /// with connections of its own.
    ///
    /// Time is real, and a few behaviours wait for it: set [`lease_lifetime`](Self::lease_lifetime)
    /// to the lease lifetime of the clients, ideally under a second.
    pub fn remote(connect: impl Fn() -> B + Send + Sync + 'static) -> Self {
        Self::new(connect, Time::Real(Clock::system()), true)
    }

    fn new(connect: impl Fn() -> B + Send + Sync + 'static, time: Time, remote: bool) -> Self {
        Self {
            connect: Box::new(connect),
            time,
            remote,
            lease_lifetime: Duration::from_secs(10),
            largest_payload: None,
            prefix: format!("conformance-{:016x}", fastrand::u64(..)),
            keys: AtomicU64::new(0),
        }
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

    /// Puts every key of this harness under `prefix`. Default: `conformance-` and 64 random bits.
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
        format!("{}:{number}:{name}", self.prefix)
    }

    pub(super) fn is_remote(&self) -> bool {
        self.remote
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
            .field("remote", &self.remote)
            .field("lease_lifetime", &self.lease_lifetime)
            .field("largest_payload", &self.largest_payload)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
