//! [`Validity`]: how long an entry is fresh, and how long it is kept.

use std::time::Duration;

use super::Ttl;

/// How long an entry lives; [`Duration::MAX`] is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    /// How long it is fresh.
    pub(crate) fresh: Duration,
    /// How long it is kept, while it is stale included.
    pub(crate) whole: Duration,
}

impl Validity {
    /// That of an entity with this lifetime, and with the time after it for which it may be served
    /// stale; `None` if it is not stored.
    pub(crate) fn of_entity(lifetime: Ttl, stale: Duration) -> Option<Self> {
        let fresh = bound(lifetime)?;
        Some(Self {
            fresh,
            whole: fresh.saturating_add(stale),
        })
    }

    /// That of an absence, which lives no longer than an entity would; `None` if it is not
    /// remembered.
    pub(crate) fn of_absence(lifetime: Ttl, negative_ttl: Option<Duration>) -> Option<Self> {
        let fresh = bound(lifetime)?.min(negative_ttl.filter(|ttl| !ttl.is_zero())?);
        Some(Self {
            fresh,
            whole: fresh,
        })
    }
}

fn bound(lifetime: Ttl) -> Option<Duration> {
    match lifetime {
        Ttl::Unstored => None,
        Ttl::For(ttl) => Some(ttl),
        Ttl::Unbounded => Some(Duration::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn stale_time_comes_after_the_lifetime() {
        let validity = Validity::of_entity;
        let of = |fresh, whole| Some(Validity { fresh, whole });
        assert_eq!(validity(Ttl::For(HOUR), Duration::ZERO), of(HOUR, HOUR));
        assert_eq!(validity(Ttl::For(HOUR), MINUTE), of(HOUR, HOUR + MINUTE));
        assert_eq!(
            validity(Ttl::Unbounded, MINUTE),
            of(Duration::MAX, Duration::MAX)
        );
        assert_eq!(validity(Ttl::Unstored, MINUTE), None);
    }

    #[test]
    fn an_absence_lives_its_own_time_but_no_longer_than_an_entity() {
        let fresh = |lifetime, negative| {
            Validity::of_absence(lifetime, negative).map(|validity| validity.fresh)
        };
        assert_eq!(fresh(Ttl::For(HOUR), Some(MINUTE)), Some(MINUTE));
        assert_eq!(fresh(Ttl::For(MINUTE), Some(HOUR)), Some(MINUTE));
        assert_eq!(fresh(Ttl::Unbounded, Some(MINUTE)), Some(MINUTE));
        assert_eq!(fresh(Ttl::Unstored, Some(MINUTE)), None);
        assert_eq!(fresh(Ttl::For(HOUR), None), None);
        assert_eq!(fresh(Ttl::For(HOUR), Some(Duration::ZERO)), None);
    }
}
