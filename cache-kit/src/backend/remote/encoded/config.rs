//! [`EncodedConfig`]: the settings of every remote backend.

use std::time::Duration;

use crate::backend::remote::resilience::BreakerPolicy;

/// Deadlines, pauses and leases are shortened to a day, so that no clock and no store overflows.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// The shortest deadline and lease: stores count in milliseconds.
const SHORTEST: Duration = Duration::from_millis(1);

/// A deadline for connecting, within its bounds: 1 ms to an hour.
#[cfg(any(feature = "redis", feature = "memcached"))]
pub(in crate::backend::remote) fn connect_deadline(deadline: Duration) -> Duration {
    deadline.clamp(SHORTEST, Duration::from_secs(3_600))
}

/// The settings of every remote backend. Each method documents its default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedConfig {
    pub(crate) default_ttl: Option<Duration>,
    pub(crate) max_value_bytes: usize,
    pub(crate) lease_lifetime: Duration,
    pub(crate) operation_deadline: Duration,
    pub(crate) pending_invalidations: usize,
    pub(crate) refused_invalidations: Duration,
    pub(crate) breaker: BreakerPolicy,
    pub(crate) proves_stores: bool,
}

impl EncodedConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            default_ttl: Some(Duration::from_secs(3_600)),
            max_value_bytes: 8 << 20,
            lease_lifetime: Duration::from_secs(10),
            operation_deadline: Duration::from_millis(500),
            pending_invalidations: 10_000,
            refused_invalidations: Duration::from_secs(3_600),
            breaker: BreakerPolicy::default(),
            proves_stores: true,
        }
    }

    /// How long an entry lives if neither its call, its service nor its type sets a time to live.
    /// Default 1 h. It bounds what fences cannot prevent, such as old values from a replica that
    /// lags.
    pub fn with_default_ttl(mut self, ttl: Duration) -> Self {
        self.default_ttl = Some(ttl);
        self
    }

    /// The largest value that is stored, in bytes, head included. Default 8 MiB.
    pub fn with_max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = bytes;
        self
    }

    /// Whether each value is decoded before it is sent, and stored only if the result is equal.
    /// Default `true`. It costs about as much as decoding a hit, and finds every type that reads
    /// its values differently from how it writes them. A type whose values can *never* be read back
    /// is refused even without it.
    pub fn with_store_proof(mut self, proves: bool) -> Self {
        self.proves_stores = proves;
        self
    }

    /// How long a lease lives. It must be longer than the load deadline; otherwise slow loads are
    /// not stored. Default 10 s; at least 1 ms, at most a day.
    pub fn with_lease_lifetime(mut self, lifetime: Duration) -> Self {
        self.lease_lifetime = lifetime.clamp(SHORTEST, LONGEST);
        self
    }

    /// How long one command may take, connecting included. Default 500 ms; at least 1 ms, at most a day. One
    /// for values of 4 KiB and more may have waited as long before, until others of them are answered.
    pub fn with_operation_deadline(mut self, deadline: Duration) -> Self {
        self.operation_deadline = deadline.clamp(SHORTEST, LONGEST);
        self
    }

    /// How many invalidations may wait for a store that is unavailable; one more is an error.
    /// Default 10,000.
    pub fn with_pending_invalidations(mut self, keys: usize) -> Self {
        self.pending_invalidations = keys;
        self
    }

    /// How long to retry an invalidation that the store refuses, for example because its user lacks
    /// a permission. Meanwhile the repository answers for its key, and other keys are not affected.
    /// After that time it is given up: `Health` counts it, a `CacheEvent` reports it, and the old
    /// value may be served until its own time to live ends. Default 1 h, as long as entries live by
    /// default.
    pub fn with_refused_invalidations(mut self, patience: Duration) -> Self {
        self.refused_invalidations = patience;
        self
    }

    /// After how many failures in a row the store is left alone for a while. Default 5.
    pub fn with_breaker_failures(mut self, failures: u32) -> Self {
        self.breaker.failures = failures.max(1);
        self
    }

    /// How long it is left alone: `first`, doubling with every failed probe up to `longest`, with a
    /// quarter of jitter. Default 500 ms and 10 s, at most a day. A background task asks every 500
    /// ms whether the store is back, so callers notice this pause only where no runtime is left to
    /// run that task.
    pub fn with_breaker_pauses(mut self, first: Duration, longest: Duration) -> Self {
        self.breaker.first_pause = first.min(LONGEST);
        self.breaker.longest_pause = longest.max(first).min(LONGEST);
        self
    }
}

impl Default for EncodedConfig {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_are_cut() {
        for duration in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            let config = EncodedConfig::new()
                .with_lease_lifetime(duration)
                .with_operation_deadline(duration)
                .with_breaker_pauses(duration, duration);
            for cut in [config.lease_lifetime, config.operation_deadline] {
                assert!((SHORTEST..=LONGEST).contains(&cut), "{cut:?}");
            }
            assert!(config.breaker.first_pause <= LONGEST);
            assert!(config.breaker.longest_pause <= LONGEST);
        }
    }
}
