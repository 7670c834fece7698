//! [`Span`]: how long an entry is fresh, and how long it is kept.

use std::time::Duration;

use super::Lifetime;

/// How long an entry lives; [`Duration::MAX`] is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// How long it is fresh.
    pub(crate) fresh: Duration,
    /// How long it is kept, while it is stale included.
    pub(crate) whole: Duration,
}

impl Span {
    /// The span of an entity with this lifetime, and the time after it for which it may be served stale; `None` if it is not stored.
    pub(crate) fn of_entity(lifetime: Lifetime, stale: Option<Duration>) -> Option<Self> {
        let fresh = bound(lifetime)?;
        Some(Self {
            fresh,
            whole: fresh.saturating_add(stale.unwrap_or_default()),
        })
    }

    /// The span of an absence, which lives no longer than an entity would; `None` if it is not
    /// remembered.
    pub(crate) fn of_absence(lifetime: Lifetime, negative_ttl: Option<Duration>) -> Option<Self> {
        let fresh = bound(lifetime)?.min(negative_ttl.filter(|ttl| !ttl.is_zero())?);
        Some(Self {
            fresh,
            whole: fresh,
        })
    }
}

fn bound(lifetime: Lifetime) -> Option<Duration> {
    match lifetime {
        Lifetime::Unstored => None,
        Lifetime::For(ttl) => Some(ttl),
        Lifetime::Unbounded => Some(Duration::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn stale_time_comes_after_the_lifetime() {
        let span = |lifetime, stale| Span::of_entity(lifetime, stale);
        let of = |fresh, whole| Some(Span { fresh, whole });
        assert_eq!(span(Lifetime::For(HOUR), None), of(HOUR, HOUR));
        assert_eq!(
            span(Lifetime::For(HOUR), Some(MINUTE)),
            of(HOUR, HOUR + MINUTE)
        );
        assert_eq!(
            span(Lifetime::Unbounded, Some(MINUTE)),
            of(Duration::MAX, Duration::MAX)
        );
        assert_eq!(span(Lifetime::Unstored, Some(MINUTE)), None);
    }

    #[test]
    fn an_absence_lives_its_own_time_but_no_longer_than_an_entity() {
        let fresh =
            |lifetime, negative| Span::of_absence(lifetime, negative).map(|span| span.fresh);
        assert_eq!(fresh(Lifetime::For(HOUR), Some(MINUTE)), Some(MINUTE));
        assert_eq!(fresh(Lifetime::For(MINUTE), Some(HOUR)), Some(MINUTE));
        assert_eq!(fresh(Lifetime::Unbounded, Some(MINUTE)), Some(MINUTE));
        assert_eq!(fresh(Lifetime::Unstored, Some(MINUTE)), None);
        assert_eq!(fresh(Lifetime::For(HOUR), None), None);
        assert_eq!(fresh(Lifetime::For(HOUR), Some(Duration::ZERO)), None);
    }
}
