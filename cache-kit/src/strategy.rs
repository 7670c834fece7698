//! [`CacheStrategy`], and the semantics table: what each strategy does in every situation.

use std::fmt;

use crate::lease::Take;

/// What one call may do with the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum CacheStrategy {
    /// Answer from the cache or not at all; the repository is never asked. The result of a load is
    /// visible once it has been stored.
    Fresh,
    /// Answer from the cache; load and store on a miss.
    #[default]
    Refresh,
    /// Drop what the cache has, then load, store and answer. For use after an update has been
    /// committed, by a caller that needs the new row:
    /// [`CacheService::invalidate`](crate::CacheService::invalidate) only drops. Every call loads
    /// for itself; readers that begin after it join its load.
    Invalidate,
    /// Load without asking the cache first, then store and answer. Every call loads for itself; the
    /// old entry stays until the store. To store nothing, add
    /// [`with_ttl(Duration::ZERO)`](crate::OperationConfig::with_ttl).
    Bypass,
}

impl fmt::Display for CacheStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fresh => "fresh",
            Self::Refresh => "refresh",
            Self::Invalidate => "invalidate",
            Self::Bypass => "bypass",
        })
    }
}

/// The situation of a call when its next step is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Situation {
    /// Nothing has happened yet.
    Begin,
    /// The cache has a fresh entry.
    Fresh,
    /// The cache has an entry past its time to live that may stand in for a load that fails.
    Stale {
        /// Whether its last load failed so recently that it is not retried yet.
        paused: bool,
    },
    /// The cache knows that the entity does not exist.
    Absence,
    /// The cache has nothing usable: no entry, an expired or undecodable one, or one of another
    /// schema.
    Nothing,
    /// The cache could not be asked, or would not grant a lease.
    BackendFailed,
    /// The load failed.
    RepositoryFailed {
        /// Whether the look-up had found a stale entry.
        stale_found: bool,
    },
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask the cache.
    LookUp,
    /// Answer with what the look-up found: an entity or a known absence.
    Feed,
    /// Answer with the stale entry that the look-up found.
    FeedStale,
    /// Answer with nothing.
    FeedNone,
    /// Take a lease with this `Take`, load under it, store, answer.
    Load(Take),
    /// Load and answer; store nothing.
    LoadUnstored,
    /// End with the error at hand.
    Fail,
}

/// The semantics table: what `strategy` does in `situation`.
#[inline]
pub(crate) fn next_step(strategy: CacheStrategy, situation: Situation) -> Step {
    use CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};

    match (strategy, situation) {
        (Fresh | Refresh, Situation::Begin) => Step::LookUp,
        (Fresh | Refresh, Situation::Fresh | Situation::Absence) => Step::Feed,

        (Fresh, Situation::Stale { .. } | Situation::Nothing) => Step::FeedNone,
        (Fresh, Situation::BackendFailed) => Step::Fail,

        (Refresh, Situation::Stale { paused: true }) => Step::FeedStale,
        (Refresh, Situation::Stale { paused: false }) => Step::Load(Take::Over),
        (Refresh, Situation::Nothing) => Step::Load(Take::IfMissing),
        (Refresh, Situation::RepositoryFailed { stale_found: true }) => Step::FeedStale,

        (Refresh | Invalidate | Bypass, Situation::BackendFailed) => Step::LoadUnstored,
        (
            Invalidate,
            Situation::Begin
            | Situation::Fresh
            | Situation::Stale { .. }
            | Situation::Absence
            | Situation::Nothing,
        ) => Step::Load(Take::Invalidating),
        (
            Bypass,
            Situation::Begin
            | Situation::Fresh
            | Situation::Stale { .. }
            | Situation::Absence
            | Situation::Nothing,
        ) => Step::Load(Take::Over),

        (_, Situation::RepositoryFailed { .. }) => Step::Fail,
    }
}

#[cfg(test)]
mod tests {
    use super::CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};
    use super::*;

    const STALE: Situation = Situation::Stale { paused: false };
    const PAUSED: Situation = Situation::Stale { paused: true };
    const FAILED: Situation = Situation::RepositoryFailed { stale_found: false };
    const FAILED_WITH_STALE: Situation = Situation::RepositoryFailed { stale_found: true };

    macro_rules! cells {
        ($($name:ident: $strategy:ident, $situation:expr => $step:expr;)*) => {$(
            #[test]
            fn $name() {
                assert_eq!(next_step($strategy, $situation), $step);
            }
        )*};
    }

    cells! {
        fresh_begins_with_a_look_up: Fresh, Situation::Begin => Step::LookUp;
        refresh_begins_with_a_look_up: Refresh, Situation::Begin => Step::LookUp;
        invalidate_begins_by_dropping: Invalidate, Situation::Begin => Step::Load(Take::Invalidating);
        bypass_begins_with_a_load: Bypass, Situation::Begin => Step::Load(Take::Over);

        fresh_entry_fresh: Fresh, Situation::Fresh => Step::Feed;
        fresh_entry_refresh: Refresh, Situation::Fresh => Step::Feed;
        fresh_entry_invalidate: Invalidate, Situation::Fresh => Step::Load(Take::Invalidating);
        fresh_entry_bypass: Bypass, Situation::Fresh => Step::Load(Take::Over);

        stale_entry_fresh_is_a_miss: Fresh, STALE => Step::FeedNone;
        stale_entry_refresh_loads: Refresh, STALE => Step::Load(Take::Over);
        stale_entry_invalidate: Invalidate, STALE => Step::Load(Take::Invalidating);
        stale_entry_bypass: Bypass, STALE => Step::Load(Take::Over);
        stale_entry_fresh_in_a_pause: Fresh, PAUSED => Step::FeedNone;
        stale_entry_refresh_in_a_pause_is_fed: Refresh, PAUSED => Step::FeedStale;
        stale_entry_invalidate_in_a_pause: Invalidate, PAUSED => Step::Load(Take::Invalidating);
        stale_entry_bypass_in_a_pause: Bypass, PAUSED => Step::Load(Take::Over);

        absence_fresh: Fresh, Situation::Absence => Step::Feed;
        absence_refresh: Refresh, Situation::Absence => Step::Feed;
        absence_invalidate: Invalidate, Situation::Absence => Step::Load(Take::Invalidating);
        absence_bypass: Bypass, Situation::Absence => Step::Load(Take::Over);

        nothing_fresh: Fresh, Situation::Nothing => Step::FeedNone;
        nothing_refresh: Refresh, Situation::Nothing => Step::Load(Take::IfMissing);
        nothing_invalidate: Invalidate, Situation::Nothing => Step::Load(Take::Invalidating);
        nothing_bypass: Bypass, Situation::Nothing => Step::Load(Take::Over);

        backend_failed_fresh: Fresh, Situation::BackendFailed => Step::Fail;
        backend_failed_refresh: Refresh, Situation::BackendFailed => Step::LoadUnstored;
        backend_failed_invalidate: Invalidate, Situation::BackendFailed => Step::LoadUnstored;
        backend_failed_bypass: Bypass, Situation::BackendFailed => Step::LoadUnstored;

        repository_failed_fresh: Fresh, FAILED_WITH_STALE => Step::Fail;
        repository_failed_refresh_with_stale: Refresh, FAILED_WITH_STALE => Step::FeedStale;
        repository_failed_refresh_without_stale: Refresh, FAILED => Step::Fail;
        repository_failed_invalidate: Invalidate, FAILED_WITH_STALE => Step::Fail;
        repository_failed_bypass: Bypass, FAILED_WITH_STALE => Step::Fail;
    }

    #[test]
    fn refresh_is_the_default_and_names_are_lower_case() {
        assert_eq!(CacheStrategy::default(), Refresh);
        let names = [Fresh, Refresh, Invalidate, Bypass].map(|s| s.to_string());
        assert_eq!(names, ["fresh", "refresh", "invalidate", "bypass"]);
    }
}
