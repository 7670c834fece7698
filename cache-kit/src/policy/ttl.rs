//! [`TtlPolicy`]: how long entities live, and which of four settings decides.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long a service's entities are served from the cache.
///
/// The first of these that sets a time to live decides: the call
/// ([`OperationConfig::with_ttl`](crate::OperationConfig::with_ttl)), this policy, the entity
/// ([`CacheEntity::cache_ttl`](crate::CacheEntity::cache_ttl)), the backend's default.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum TtlPolicy {
    /// Sets nothing: the entity decides, and after it the backend.
    #[default]
    Default,
    /// The same for every entity.
    Fixed(Duration),
    /// No expiry, even where the backend has a default.
    Infinite,
    /// By entity type: the function gets the entity's prefix. It is called for every entry that is
    /// stored or read, so it should be short.
    PerType(fn(&str) -> Duration),
    /// Like `PerType`, for a closure that captures; made by [`TtlPolicy::per_type`].
    PerTypeShared(Arc<dyn Fn(&str) -> Duration + Send + Sync>),
}

impl TtlPolicy {
    /// A policy by entity type that captures what it needs.
    ///
    /// ```
    /// use std::time::Duration;
    /// use cache_kit::observability::TtlPolicy;
    ///
    /// let users = Duration::from_secs(600);
    /// let policy = TtlPolicy::per_type(move |entity_type| match entity_type {
    ///     "user" => users,
    ///     _ => Duration::from_secs(60),
    /// });
    /// ```
    pub fn per_type(ttl: impl Fn(&str) -> Duration + Send + Sync + 'static) -> Self {
        Self::PerTypeShared(Arc::new(ttl))
    }

    fn lifetime(&self, prefix: &str) -> Option<Ttl> {
        match self {
            Self::Default => None,
            Self::Fixed(ttl) => Some(Ttl::of(*ttl)),
            Self::Infinite => Some(Ttl::Unbounded),
            Self::PerType(ttl) => Some(Ttl::of(ttl(prefix))),
            Self::PerTypeShared(ttl) => Some(Ttl::of(ttl(prefix))),
        }
    }
}

impl fmt::Debug for TtlPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("Default"),
            Self::Fixed(ttl) => f.debug_tuple("Fixed").field(ttl).finish(),
            Self::Infinite => f.write_str("Infinite"),
            Self::PerType(_) | Self::PerTypeShared(_) => f.write_str("PerType(..)"),
        }
    }
}

/// How long to store a loaded entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ttl {
    /// It is not stored.
    Unstored,
    /// It is stored for this long, which is not zero.
    For(Duration),
    /// It is stored without expiry.
    Unbounded,
}

impl Ttl {
    fn of(ttl: Duration) -> Self {
        match ttl {
            Duration::ZERO => Self::Unstored,
            Duration::MAX => Self::Unbounded,
            ttl => Self::For(ttl),
        }
    }

    /// Shortened by up to `fraction` of it; `random` is from zero to one.
    pub(crate) fn jittered(self, fraction: Option<f64>, random: f64) -> Self {
        match (self, fraction) {
            (Self::For(ttl), Some(fraction)) => {
                // An entity's own number may be anything.
                let part = fraction * random;
                let part = if part > 0.0 { part.min(1.0) } else { 0.0 };
                let less = ttl.mul_f64(part);
                Self::of(ttl.saturating_sub(less))
            }
            (ttl, _) => ttl,
        }
    }
}

/// The lifetime that counts for a reader, in milliseconds: set by the policy, else the entity. What the
/// call and the backend set, they set for what is stored.
#[inline]
pub(crate) fn millis_for_reader(policy: &TtlPolicy, prefix: &str, entity: Option<Duration>) -> u64 {
    // Most services have no policy, and then this is a constant of the entity.
    match policy {
        TtlPolicy::Default => entity.map_or(u64::MAX, millis),
        policy => millis_of_policy(policy, prefix),
    }
}

#[inline(never)]
fn millis_of_policy(policy: &TtlPolicy, prefix: &str) -> u64 {
    match policy.lifetime(prefix) {
        None | Some(Ttl::Unbounded) => u64::MAX,
        Some(Ttl::For(ttl)) => millis(ttl),
        Some(Ttl::Unstored) => 0,
    }
}

/// Rounded up, as the end of an entry is. Saturates: [`Duration::MAX`] is for ever.
#[inline]
fn millis(ttl: Duration) -> u64 {
    let rest = ttl.subsec_nanos().div_ceil(1_000_000);
    ttl.as_secs()
        .saturating_mul(1_000)
        .saturating_add(rest.into())
}

/// The lifetime of an entity: set by the call, else the policy, the entity, or the backend.
pub(crate) fn lifetime(
    call: Option<Duration>,
    policy: &TtlPolicy,
    prefix: &str,
    entity: Option<Duration>,
    backend: Option<Duration>,
) -> Ttl {
    call.map(Ttl::of)
        .or_else(|| policy.lifetime(prefix))
        .or_else(|| entity.map(Ttl::of))
        .or_else(|| backend.map(Ttl::of))
        .unwrap_or(Ttl::Unbounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Duration = Duration::from_secs(1);
    const POLICY: Duration = Duration::from_secs(2);
    const ENTITY: Duration = Duration::from_secs(3);
    const BACKEND: Duration = Duration::from_secs(4);

    #[test]
    fn the_first_voice_decides() {
        let fixed = TtlPolicy::Fixed(POLICY);
        let silent = TtlPolicy::Default;
        let all = |call, policy: &TtlPolicy, entity, backend| {
            lifetime(call, policy, "user", entity, backend)
        };
        assert_eq!(
            all(Some(CALL), &fixed, Some(ENTITY), Some(BACKEND)),
            Ttl::For(CALL)
        );
        assert_eq!(
            all(None, &fixed, Some(ENTITY), Some(BACKEND)),
            Ttl::For(POLICY)
        );
        assert_eq!(
            all(None, &silent, Some(ENTITY), Some(BACKEND)),
            Ttl::For(ENTITY)
        );
        assert_eq!(all(None, &silent, None, Some(BACKEND)), Ttl::For(BACKEND));
        assert_eq!(all(None, &silent, None, None), Ttl::Unbounded);
    }

    #[test]
    fn infinite_beats_the_backends_default_and_zero_stores_nothing() {
        let infinite = lifetime(
            None,
            &TtlPolicy::Infinite,
            "user",
            Some(ENTITY),
            Some(BACKEND),
        );
        assert_eq!(infinite, Ttl::Unbounded);
        let zero = lifetime(
            Some(Duration::ZERO),
            &TtlPolicy::Infinite,
            "user",
            None,
            None,
        );
        assert_eq!(zero, Ttl::Unstored);
        let longest = lifetime(
            Some(Duration::MAX),
            &TtlPolicy::Default,
            "user",
            None,
            Some(BACKEND),
        );
        assert_eq!(longest, Ttl::Unbounded);
    }

    #[test]
    fn jitter_shortens_by_a_part_of_up_to_the_fraction() {
        let hour = Ttl::For(Duration::from_secs(3_600));
        let minutes = |minutes: u64| Ttl::For(Duration::from_secs(minutes * 60));
        assert_eq!(hour.jittered(None, 1.0), hour);
        assert_eq!(hour.jittered(Some(0.1), 0.0), hour);
        assert_eq!(hour.jittered(Some(0.1), 0.5), minutes(57));
        assert_eq!(hour.jittered(Some(0.1), 1.0), minutes(54));
        for unfit in [-1.0, f64::NAN] {
            assert_eq!(hour.jittered(Some(unfit), 1.0), hour);
        }
        assert_eq!(hour.jittered(Some(7.0), 1.0), Ttl::Unstored);
        assert_eq!(Ttl::Unbounded.jittered(Some(0.5), 1.0), Ttl::Unbounded);
        assert_eq!(Ttl::Unstored.jittered(Some(0.5), 1.0), Ttl::Unstored);
    }

    #[test]
    fn what_counts_for_a_reader_is_in_milliseconds() {
        let of = |policy: &TtlPolicy, entity| millis_for_reader(policy, "user", entity);
        assert_eq!(of(&TtlPolicy::Default, Some(ENTITY)), 3_000);
        assert_eq!(of(&TtlPolicy::Default, None), u64::MAX);
        assert_eq!(of(&TtlPolicy::Default, Some(Duration::MAX)), u64::MAX);
        assert_eq!(of(&TtlPolicy::Fixed(POLICY), Some(ENTITY)), 2_000);
        assert_eq!(of(&TtlPolicy::Fixed(Duration::ZERO), None), 0);
        assert_eq!(of(&TtlPolicy::Infinite, Some(ENTITY)), u64::MAX);
        for (nanos, millis) in [(1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2)] {
            let brief = TtlPolicy::Fixed(Duration::from_nanos(nanos));
            assert_eq!(of(&brief, None), millis, "{nanos} ns");
        }
        assert_eq!(of(&TtlPolicy::PerType(|_| CALL), Some(ENTITY)), 1_000);
    }

    #[test]
    fn a_policy_by_type_sees_the_prefix() {
        let by_fn = TtlPolicy::PerType(|kind| match kind {
            "user" => Duration::from_secs(3600),
            _ => Duration::ZERO,
        });
        let hour = Duration::from_secs(3600);
        let by_closure =
            TtlPolicy::per_type(move |kind| if kind == "user" { hour } else { Duration::ZERO });
        for policy in [by_fn, by_closure] {
            let of = |prefix| lifetime(None, &policy, prefix, Some(ENTITY), None);
            assert_eq!(of("user"), Ttl::For(hour));
            assert_eq!(of("order"), Ttl::Unstored);
        }
    }
}
