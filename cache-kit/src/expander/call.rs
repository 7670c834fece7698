//! One key of a call, and the result of its look-up.

use std::sync::Arc;
use std::time::Instant;

use crate::backend::{CacheBackend, Fence, Lookup, MissReason};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::{Entry, Freshness};
use crate::error::{Error, Result};
use crate::flight::{Tick, View};
use crate::observability::{CacheEvent, Degraded, Outcome, Source};
use crate::strategy::{Found, Reader, Step, after_look_up};

use super::load::Miss;
use super::{CacheExpander, OperationConfig};

/// One key of a call.
pub(super) struct Call<'c, T: CacheEntity> {
    /// The cache key.
    pub(super) key: &'c str,
    pub(super) id: &'c T::Key,
}

/// An entity, or none, and its source.
pub(super) type Answer<T> = (Option<Arc<T>>, Outcome);

/// A look-up and its answer.
pub(super) struct LookedUp<T> {
    pub(super) began: Tick,
    pub(super) now: Timestamp,
    pub(super) answer: Result<Lookup<T>>,
}

/// What a call does about one of its keys.
pub(super) enum Next<T> {
    Answer(Answer<T>),
    Load(Miss),
}

impl<T> LookedUp<T> {
    fn view(&self) -> View {
        View {
            began: self.began,
            looked: self.began,
            seen: self.fence(),
        }
    }

    /// The fence that the look-up saw.
    fn fence(&self) -> Option<Fence> {
        match &self.answer {
            Ok(Lookup::Hit { fence, .. } | Lookup::Miss { fence, .. }) => *fence,
            Err(_) => None,
        }
    }
}

impl Found {
    /// What an entry is to a call. The entry itself does not know whether its last load failed.
    #[inline]
    pub(super) fn of<T>(entry: &Entry<T>, now: Timestamp) -> Self {
        match entry.freshness(now) {
            Freshness::Fresh if entry.value.is_none() => Self::Absence,
            Freshness::Fresh => Self::Fresh,
            Freshness::Stale => Self::Stale { paused: false },
            Freshness::Expired => Self::Nothing,
        }
    }
}

impl<B: CacheBackend> CacheExpander<B> {
    /// What the call for `key`, at place `slot`, does after its look-up.
    ///
    /// # Errors
    /// The error of the look-up, where there is no other source.
    pub(super) fn next<T: CacheEntity>(
        &self,
        slot: usize,
        key: &str,
        reader: Reader,
        config: &OperationConfig,
        looked_up: LookedUp<T>,
    ) -> Result<Next<T>> {
        let found = self.found(key, reader, config, &looked_up);
        let take = match after_look_up(reader, found) {
            Step::Load(take) => Some(take),
            Step::LoadUnstored => None,
            Step::Feed => return self.answer(key, looked_up).map(Next::Answer),
            Step::FeedNone => return Ok(Next::Answer((None, Outcome::of(Source::Nothing)))),
            Step::Fail => return Err(unanswered(looked_up).during("read", key)),
        };
        Ok(Next::Load(Miss {
            slot,
            take,
            view: Some(looked_up.view()),
            stale: matches!(found, Found::Stale { .. }),
            read_failed: found == Found::Failed,
            looks: 0,
        }))
    }

    fn found<T: CacheEntity>(
        &self,
        key: &str,
        reader: Reader,
        config: &OperationConfig,
        looked_up: &LookedUp<T>,
    ) -> Found {
        match &looked_up.answer {
            Ok(Lookup::Hit { entry, .. }) => match Found::of(entry, looked_up.now) {
                Found::Stale { .. } if reader == Reader::Refresh => {
                    let deadline = config.load_deadline.unwrap_or(self.load_deadline);
                    let paused = self.pauses.hold::<T>(key, looked_up.now, deadline);
                    Found::Stale { paused }
                }
                found => found,
            },
            Ok(Lookup::Miss { .. }) => Found::Nothing,
            Err(_) => Found::Failed,
        }
    }

    /// Tells the listener what a look-up found.
    pub(super) fn report_look_up<T>(&self, key: &str, found: &LookedUp<T>, since: Option<Instant>) {
        let Some(listener) = &self.listener else {
            return;
        };
        match &found.answer {
            Err(error) => listener.error(key, error),
            Ok(Lookup::Hit { entry, .. }) if entry.freshness(found.now) == Freshness::Fresh => {
                listener.hit(key, since);
            }
            Ok(answer) => {
                listener.miss(key, since);
                if let Lookup::Miss { reason, .. } = *answer
                    && matches!(
                        reason,
                        MissReason::Damaged | MissReason::OtherSchema | MissReason::Invalid
                    )
                {
                    listener.event(key, &CacheEvent::Discarded { reason });
                }
            }
        }
    }

    /// The entry that a look-up found, as an answer.
    fn answer<T>(&self, key: &str, looked_up: LookedUp<T>) -> Result<Answer<T>> {
        match looked_up.answer {
            Ok(Lookup::Hit { entry, .. }) => Ok(self.served(key, entry, looked_up.now)),
            _ => Err(Error::Internal("no entry to serve".into()).during("read", key)),
        }
    }

    /// The answer instead of a failed load: the stale entry, if it is still there. The one that the
    /// look-up found may have been invalidated since.
    pub(super) async fn stale_instead<T: CacheEntity>(&self, key: &str) -> Option<Answer<T>> {
        let now = self.clock.now();
        let Ok(Lookup::Hit { entry, .. }) = self.backend.get_again(key, now).await else {
            return None;
        };
        match entry.freshness(now) {
            Freshness::Expired => return None,
            Freshness::Stale => self.pauses.failed::<T>(key, now),
            Freshness::Fresh => {}
        }
        let (value, outcome) = self.served(key, entry, now);
        Some((value, outcome.degraded_by(REPOSITORY_FAILED)))
    }

    /// An entry as an answer. A stale one is served only because a load has failed.
    fn served<T>(&self, key: &str, entry: Entry<T>, now: Timestamp) -> Answer<T> {
        let outcome = Outcome::of(Source::Cache).aged(entry.created, now);
        if entry.freshness(now) != Freshness::Stale {
            return (entry.value, outcome);
        }
        self.event(key, CacheEvent::StaleServed);
        (
            entry.value,
            outcome.stale(true).degraded_by(REPOSITORY_FAILED),
        )
    }
}

const REPOSITORY_FAILED: Degraded = Degraded {
    read: false,
    store: false,
    invalidation_pending: false,
    repository: true,
};

/// The error of a look-up that has no fallback.
fn unanswered<T>(looked_up: LookedUp<T>) -> Error {
    match looked_up.answer {
        Err(error) => error,
        Ok(_) => Error::Internal("no answer".into()),
    }
}
