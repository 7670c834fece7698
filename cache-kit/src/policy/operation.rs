//! [`OperationConfig`]: settings of one call that override its service's.

use std::time::Duration;

use super::FreshnessPolicy;

/// Settings of one call that override its service's. The default changes nothing.
///
/// ```
/// use std::time::Duration;
/// use cache_kit::OperationConfig;
///
/// let config = OperationConfig::default()
///     .with_ttl(Duration::from_secs(60))
///     .with_retry(3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OperationConfig {
    pub(crate) ttl: Option<Duration>,
    pub(crate) retries: u32,
    pub(crate) load_deadline: Option<Duration>,
    pub(crate) strict_invalidation: bool,
    pub(crate) freshness: FreshnessPolicy,
}

/// The settings of a call, before it is known whether they are wanted.
pub(crate) trait Settings {
    /// How fresh the answer must be, if the call says so.
    fn freshness(&self) -> Option<&FreshnessPolicy>;

    /// All of them.
    fn into_config(self) -> OperationConfig;
}

/// A call without settings of its own. It has none to copy, and a hit is shorter by that.
pub(crate) struct NoSettings;

impl Settings for NoSettings {
    #[inline]
    fn freshness(&self) -> Option<&FreshnessPolicy> {
        None
    }

    fn into_config(self) -> OperationConfig {
        OperationConfig::default()
    }
}

impl Settings for OperationConfig {
    #[inline]
    fn freshness(&self) -> Option<&FreshnessPolicy> {
        Some(&self.freshness)
    }

    fn into_config(self) -> OperationConfig {
        self
    }
}

impl OperationConfig {
    /// How long the entity that this call stores is served from the cache. Overrides every policy.
    /// [`Duration::ZERO`] stores nothing; [`Duration::MAX`] never expires.
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How often a failed load is retried, if its error [is retryable](crate::Error::is_retryable).
    /// Default 0.
    ///
    /// The pause before each retry is drawn at random between zero and a bound that starts at
    /// 50 ms and doubles up to 1 s ("full jitter"). All tries together stay within the load
    /// deadline.
    pub fn with_retry(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// How long the load may take, retries included, before it ends as
    /// [`Error::Timeout`](crate::Error::Timeout). The call waits as long for another call's load.
    /// Default: the service's, 8 s.
    pub fn with_load_deadline(mut self, deadline: Duration) -> Self {
        self.load_deadline = Some(deadline);
        self
    }

    /// How fresh the answer must be, where that differs from the service's and the entity's settings.
    pub fn with_freshness(mut self, policy: FreshnessPolicy) -> Self {
        self.freshness = policy;
        self
    }

    /// Makes an invalidation that the store has not confirmed an error. By default the call goes
    /// on, the backend sends the invalidation again until it succeeds, and
    /// [`Outcome::degraded`](crate::Outcome) shows it.
    pub fn with_strict_invalidation(mut self) -> Self {
        self.strict_invalidation = true;
        self
    }
}
