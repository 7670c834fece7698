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

impl CacheStrategy {
    /// Its name in lower case, for a log or a label: `fresh`, `refresh`, `invalidate`, `bypass`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Refresh => "refresh",
            Self::Invalidate => "invalidate",
            Self::Bypass => "bypass",
        }
    }
}

impl fmt::Display for CacheStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a call does first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Look up.
    LookUp(Reader),
    /// Take a lease in this way, load under it, store, answer.
    Load(Take),
}

/// A strategy that looks up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    Fresh,
    Refresh,
}

impl Reader {
    pub(crate) fn strategy(self) -> CacheStrategy {
        match self {
            Self::Fresh => CacheStrategy::Fresh,
            Self::Refresh => CacheStrategy::Refresh,
        }
    }
}

/// What a look-up found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// An entry within its time to live.
    Fresh,
    /// An entry within its time to live whose turn to be refreshed has come.
    Ahead {
        /// Whether another call refreshes it, or has failed to so recently that it is not retried yet.
        held: bool,
    },
    /// An entry past its time to live that is answered while it is refreshed.
    Revalidated {
        /// As of `Ahead`.
        held: bool,
    },
    /// An entry past its time to live that may stand in for a load that fails.
    Stale {
        /// Whether its last load failed so recently that it is not retried yet.
        paused: bool,
    },
    /// The knowledge that there is no entity.
    Absence,
    /// An entry that is of no use to this reader any more, but still stands.
    Outlived,
    /// Nothing that can be used: no entry, an expired or undecodable one, another schema.
    Nothing,
    /// The cache could not be read.
    Failed,
}

/// What a call does after its look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Answer with what was found.
    Feed,
    /// Answer with what was found, and refresh it in the background. Without a repository that
    /// outlives the call, load in this one, unless another process is refreshing it.
    Refresh,
    /// Answer that the cache has nothing.
    FeedNone,
    /// Take a lease in this way, load under it, store, answer.
    Load(Take),
    /// Load and answer; store nothing.
    LoadUnstored,
    /// End with the error of the look-up.
    Fail,
}

/// What the backend answered to a request for a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseReply {
    Granted,
    Found,
    Busy,
    Writing,
    NoRoom,
    Pending {
        /// Whether the call has `with_strict_invalidation`.
        strict: bool,
    },
    Failed,
}

/// What a call does after it asked for a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseStep {
    /// Load and store.
    LoadAndStore,
    /// Look up once more: there is an entry by now.
    LookAgain,
    /// Wait for the other lease.
    Wait,
    /// Load and answer; store nothing.
    LoadUnstored {
        /// Whether the cache failed to do its part.
        degraded: bool,
    },
    /// End with an error: the invalidation is not done.
    Fail,
}

/// What a call does after its load failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rescue {
    /// Answer with the stale entry, if it is still there.
    ServeStale,
    /// End with the error of the load.
    Fail,
}

impl CacheStrategy {
    /// The table of first steps.
    #[inline]
    pub(crate) fn begin(self) -> Begin {
        match self {
            Self::Fresh => Begin::LookUp(Reader::Fresh),
            Self::Refresh => Begin::LookUp(Reader::Refresh),
            Self::Invalidate => Begin::Load(Take::Invalidating),
            Self::Bypass => Begin::Load(Take::Over),
        }
    }
}

/// The table of look-ups.
#[inline]
pub(crate) fn after_look_up(reader: Reader, found: Found) -> Step {
    match (reader, found) {
        (_, Found::Fresh | Found::Absence) | (Reader::Fresh, Found::Ahead { .. }) => Step::Feed,
        (
            Reader::Fresh,
            Found::Revalidated { .. } | Found::Stale { .. } | Found::Outlived | Found::Nothing,
        ) => Step::FeedNone,
        (Reader::Fresh, Found::Failed) => Step::Fail,
        (Reader::Refresh, Found::Ahead { held } | Found::Revalidated { held }) => match held {
            true => Step::Feed,
            false => Step::Refresh,
        },
        (Reader::Refresh, Found::Stale { paused: true }) => Step::Feed,
        (Reader::Refresh, Found::Stale { paused: false } | Found::Outlived) => {
            Step::Load(Take::Over)
        }
        (Reader::Refresh, Found::Nothing) => Step::Load(Take::IfMissing),
        (Reader::Refresh, Found::Failed) => Step::LoadUnstored,
    }
}

/// The table of leases. An answer that does not fit its request, from a faulty backend, still counts.
pub(crate) fn after_lease(take: Take, reply: LeaseReply) -> LeaseStep {
    match (reply, take) {
        (LeaseReply::Granted, _) => LeaseStep::LoadAndStore,
        (LeaseReply::Found, _) => LeaseStep::LookAgain,
        (LeaseReply::Busy, _) => LeaseStep::Wait,
        // The writer fills the key, so nothing is missing in the cache.
        (LeaseReply::Writing, _) => LeaseStep::LoadUnstored { degraded: false },
        (LeaseReply::Pending { strict: true }, _) | (LeaseReply::Failed, Take::Invalidating) => {
            LeaseStep::Fail
        }
        (LeaseReply::Pending { strict: false } | LeaseReply::NoRoom, _)
        | (LeaseReply::Failed, Take::IfMissing | Take::Over) => {
            LeaseStep::LoadUnstored { degraded: true }
        }
    }
}

/// The table of failed loads. Only a call that looked up can know of a stale entry.
pub(crate) fn after_failed_load(stale_found: bool) -> Rescue {
    match stale_found {
        true => Rescue::ServeStale,
        false => Rescue::Fail,
    }
}

#[cfg(test)]
mod tests {
    use super::CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};
    use super::*;

    const STALE: Found = Found::Stale { paused: false };
    const PAUSED: Found = Found::Stale { paused: true };
    const AHEAD: Found = Found::Ahead { held: false };
    const AHEAD_HELD: Found = Found::Ahead { held: true };
    const REVALIDATED: Found = Found::Revalidated { held: false };
    const REVALIDATED_HELD: Found = Found::Revalidated { held: true };

    macro_rules! cells {
        ($($name:ident: $table:expr => $step:expr;)*) => {$(
            #[test]
            fn $name() {
                assert_eq!($table, $step);
            }
        )*};
    }

    cells! {
        fresh_begins_with_a_look_up: Fresh.begin() => Begin::LookUp(Reader::Fresh);
        refresh_begins_with_a_look_up: Refresh.begin() => Begin::LookUp(Reader::Refresh);
        invalidate_begins_by_dropping: Invalidate.begin() => Begin::Load(Take::Invalidating);
        bypass_begins_with_a_load: Bypass.begin() => Begin::Load(Take::Over);

        fresh_entry_fresh: after_look_up(Reader::Fresh, Found::Fresh) => Step::Feed;
        fresh_entry_refresh: after_look_up(Reader::Refresh, Found::Fresh) => Step::Feed;
        ahead_fresh: after_look_up(Reader::Fresh, AHEAD) => Step::Feed;
        ahead_held_fresh: after_look_up(Reader::Fresh, AHEAD_HELD) => Step::Feed;
        ahead_refresh: after_look_up(Reader::Refresh, AHEAD) => Step::Refresh;
        ahead_held_refresh: after_look_up(Reader::Refresh, AHEAD_HELD) => Step::Feed;
        revalidated_fresh: after_look_up(Reader::Fresh, REVALIDATED) => Step::FeedNone;
        revalidated_held_fresh: after_look_up(Reader::Fresh, REVALIDATED_HELD) => Step::FeedNone;
        revalidated_refresh: after_look_up(Reader::Refresh, REVALIDATED) => Step::Refresh;
        revalidated_held_refresh: after_look_up(Reader::Refresh, REVALIDATED_HELD) => Step::Feed;
        outlived_fresh: after_look_up(Reader::Fresh, Found::Outlived) => Step::FeedNone;
        outlived_refresh: after_look_up(Reader::Refresh, Found::Outlived)
            => Step::Load(Take::Over);
        stale_entry_fresh: after_look_up(Reader::Fresh, STALE) => Step::FeedNone;
        stale_entry_refresh: after_look_up(Reader::Refresh, STALE) => Step::Load(Take::Over);
        stale_entry_refresh_in_a_pause: after_look_up(Reader::Refresh, PAUSED) => Step::Feed;
        absence_fresh: after_look_up(Reader::Fresh, Found::Absence) => Step::Feed;
        absence_refresh: after_look_up(Reader::Refresh, Found::Absence) => Step::Feed;
        nothing_fresh: after_look_up(Reader::Fresh, Found::Nothing) => Step::FeedNone;
        nothing_refresh: after_look_up(Reader::Refresh, Found::Nothing)
            => Step::Load(Take::IfMissing);
        failed_fresh: after_look_up(Reader::Fresh, Found::Failed) => Step::Fail;
        failed_refresh: after_look_up(Reader::Refresh, Found::Failed) => Step::LoadUnstored;

        a_stale_entry_rescues: after_failed_load(true) => Rescue::ServeStale;
        nothing_rescues_nothing: after_failed_load(false) => Rescue::Fail;
    }

    const TAKES: [Take; 3] = [Take::IfMissing, Take::Over, Take::Invalidating];

    #[test]
    fn every_reply_to_a_request_for_a_lease() {
        let unstored = |degraded| LeaseStep::LoadUnstored { degraded };
        for take in TAKES {
            for (reply, step) in [
                (LeaseReply::Granted, LeaseStep::LoadAndStore),
                (LeaseReply::Found, LeaseStep::LookAgain),
                (LeaseReply::Busy, LeaseStep::Wait),
                (LeaseReply::Writing, unstored(false)),
                (LeaseReply::NoRoom, unstored(true)),
                (LeaseReply::Pending { strict: false }, unstored(true)),
                (LeaseReply::Pending { strict: true }, LeaseStep::Fail),
            ] {
                assert_eq!(after_lease(take, reply), step, "{take:?}, {reply:?}");
            }
        }
    }

    #[test]
    fn only_an_invalidation_fails_with_the_cache() {
        let steps = TAKES.map(|take| after_lease(take, LeaseReply::Failed));
        let unstored = LeaseStep::LoadUnstored { degraded: true };
        assert_eq!(steps, [unstored, unstored, LeaseStep::Fail]);
    }

    #[test]
    fn refresh_is_the_default_and_names_are_lower_case() {
        assert_eq!(CacheStrategy::default(), Refresh);
        let names = [Fresh, Refresh, Invalidate, Bypass].map(|s| s.to_string());
        assert_eq!(names, ["fresh", "refresh", "invalidate", "bypass"]);
    }
}
