//! One key of a call, and the result of its look-up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backend::{CacheBackend, Fence, Lookup, MissReason};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::flight::{Tick, View};
use crate::observability::{CacheEvent, Degraded, Outcome, Source};
use crate::policy::{FreshnessPolicy, State, millis_for_reader};
use crate::strategy::{Found, Reader, Step, after_look_up};

use super::load::Miss;
use super::report::Of;
use super::turns::{Ours, Turn};
use super::{CacheExpander, OperationConfig};

/// One key of a call.
pub(super) struct Call<'c, T: CacheEntity> {
    /// The cache key.
    pub(super) key: &'c str,
    pub(super) id: &'c T::Key,
}

/// The calls for keys that are owned.
pub(super) fn calls_of<T: CacheEntity>(keys: &[(Box<str>, T::Key)]) -> Vec<Call<'_, T>> {
    keys.iter().map(|(key, id)| Call { key, id }).collect()
}

/// An entity, or none, and its source.
pub(super) type Answer<T> = (Option<Arc<T>>, Outcome);

/// A look-up and its answer.
pub(super) struct LookedUp<T> {
    pub(super) look_up: LookUp,
    pub(super) answer: Result<Lookup<T>>,
}

/// A look-up that has begun.
#[derive(Clone, Copy)]
pub(crate) struct LookUp {
    pub(super) since: Option<Instant>,
    pub(super) began: Tick,
    pub(super) now: Timestamp,
    /// The number that decides whether to refresh ahead, if it has been drawn.
    pub(super) drawn: Option<f64>,
}

/// What a call does about one of its keys.
pub(super) enum Next<T> {
    Answer(Answer<T>),
    Refresh(Due<T>),
    Load(Miss),
}

/// An entry that is answered, and that it is this call's turn to refresh.
pub(super) struct Due<T> {
    pub(super) slot: usize,
    pub(super) answer: Answer<T>,
    pub(super) since: Option<Instant>,
    pub(super) refresh: Refresh,
}

/// A refresh that has not begun.
pub(super) struct Refresh {
    /// When the entry was loaded, by which a newer one is told apart.
    pub(super) created: Timestamp,
    /// Whether it is within its time to live.
    pub(super) ahead: bool,
    pub(super) ours: Ours,
}

impl<T> LookedUp<T> {
    fn view(&self) -> View {
        View {
            began: self.look_up.began,
            looked: self.look_up.began,
            seen: self.fence(),
        }
    }

    /// Whether it found an entry that has expired.
    fn has_expired(&self) -> bool {
        let reason = MissReason::Expired;
        matches!(&self.answer, Ok(Lookup::Miss { reason: found, .. }) if *found == reason)
    }

    /// The fence that the look-up saw.
    fn fence(&self) -> Option<Fence> {
        match &self.answer {
            Ok(Lookup::Hit { fence, .. } | Lookup::Miss { fence, .. }) => *fence,
            Err(_) => None,
        }
    }
}

impl<B: CacheBackend> CacheExpander<B> {
    /// What `entry` is to a call that wants this freshness.
    #[inline]
    pub(super) fn state<T: CacheEntity>(
        &self,
        entry: &Entry<T>,
        of_call: Option<&FreshnessPolicy>,
        now: Timestamp,
        random: impl FnOnce() -> f64,
    ) -> State {
        let ttl = millis_for_reader(&self.ttl_policy, T::cache_prefix(), T::cache_ttl());
        self.rules(of_call).state(entry, ttl, now, random)
    }

    /// As [`state`](Self::state), for a caller that refreshes nothing.
    pub(super) fn state_now<T: CacheEntity>(
        &self,
        entry: &Entry<T>,
        config: &OperationConfig,
        now: Timestamp,
    ) -> State {
        self.state(entry, Some(&config.freshness), now, || 1.0)
    }

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
        let of = Of::call::<T>(reader.strategy());
        let (found, turn) = self.found(key, reader, config, &looked_up);
        let step = after_look_up(reader, found);
        if step != Step::Refresh {
            let stale = matches!(found, Found::Revalidated { .. } | Found::Stale { .. });
            self.report_look_up(of, key, &looked_up, (step == Step::Feed).then_some(stale));
        }
        let take = match step {
            Step::Feed | Step::Refresh => {
                return self.answer(of, slot, key, found, turn, looked_up);
            }
            Step::Load(take) => Some(take),
            Step::LoadUnstored => None,
            Step::FeedNone => return Ok(Next::Answer((None, Outcome::of(Source::Nothing)))),
            Step::Fail => return Err(unanswered(looked_up).during("read", key)),
        };
        let stale = matches!(found, Found::Stale { .. });
        Ok(Next::Load(Miss {
            slot,
            take,
            view: Some(looked_up.view()),
            stale,
            unseen: false,
            read_failed: found == Found::Failed,
            looks: 0,
            alone: false,
            ahead: false,
            expired: stale || found == Found::Outlived || looked_up.has_expired(),
        }))
    }

    /// What the look-up found, and whose turn it is to refresh it.
    fn found<T: CacheEntity>(
        &self,
        key: &str,
        reader: Reader,
        config: &OperationConfig,
        looked_up: &LookedUp<T>,
    ) -> (Found, Option<Turn>) {
        let LookUp { now, drawn, .. } = looked_up.look_up;
        let entry = match &looked_up.answer {
            Ok(Lookup::Hit { entry, .. }) => entry,
            Ok(Lookup::Miss { .. }) => return (Found::Nothing, None),
            Err(_) => return (Found::Failed, None),
        };
        let random = || drawn.unwrap_or_else(fastrand::f64);
        let state = self.state(entry, Some(&config.freshness), now, random);
        // What this call loads is not stored, so it refreshes nothing.
        let stores = config.ttl != Some(Duration::ZERO);
        let refreshes = reader == Reader::Refresh && stores;
        let deadline = config.load_deadline.unwrap_or(self.load_deadline);
        let turn = match state {
            State::Ahead | State::Revalidated if refreshes => {
                Some(self.turns.take::<T>(key, now, deadline))
            }
            _ => None,
        };
        let held = !matches!(turn, Some(Turn::Ours(_)));
        let found = match state {
            State::Fresh if entry.value.is_none() => Found::Absence,
            State::Fresh => Found::Fresh,
            State::Ahead if !stores => Found::Fresh,
            State::Ahead => Found::Ahead { held },
            State::Revalidated if stores => Found::Revalidated { held },
            State::Revalidated | State::IfError => Found::Stale {
                paused: refreshes && self.turns.hold::<T>(key, now, deadline),
            },
            State::Outlived => Found::Outlived,
        };
        (found, turn)
    }

    /// Tells the listeners what a look-up found, and whether it answers the call, fresh or stale.
    fn report_look_up<T>(&self, of: Of, key: &str, found: &LookedUp<T>, answers: Option<bool>) {
        let LookUp { now, since, .. } = found.look_up;
        match (&found.answer, answers) {
            (Err(error), _) => self.tell_failure(of, key, "get", error),
            (Ok(Lookup::Hit { entry, .. }), Some(stale)) => {
                let outcome = Outcome::of(Source::Cache).aged(entry.created, now);
                self.tell_hit(of, key, entry.value.is_some(), outcome.stale(stale), since);
            }
            (Ok(answer), _) => {
                self.tell_miss(of, key, since);
                if let Lookup::Miss { reason, .. } = *answer
                    && matches!(
                        reason,
                        MissReason::Damaged | MissReason::OtherSchema | MissReason::Invalid
                    )
                {
                    self.tell(of, key, &CacheEvent::Discarded { reason });
                }
            }
        }
    }

    /// The entry that a look-up found, as an answer.
    fn answer<T>(
        &self,
        of: Of,
        slot: usize,
        key: &str,
        found: Found,
        turn: Option<Turn>,
        looked_up: LookedUp<T>,
    ) -> Result<Next<T>> {
        let LookUp { now, since, .. } = looked_up.look_up;
        let Ok(Lookup::Hit { entry, .. }) = looked_up.answer else {
            return Err(Error::Internal("no entry to serve".into()).during("read", key));
        };
        let created = entry.created;
        let stale = matches!(found, Found::Revalidated { .. } | Found::Stale { .. });
        let outcome = Outcome::of(Source::Cache)
            .aged(created, now)
            .stale(stale)
            .refreshing(matches!(turn, Some(Turn::Theirs)));
        let outcome = match turn {
            None | Some(Turn::Paused) if stale => outcome.degraded_by(REPOSITORY_FAILED),
            Some(Turn::Unstored) => outcome.degraded_by(NOT_STORED),
            _ => outcome,
        };
        let answer = (entry.value, outcome);
        let Some(Turn::Ours(ours)) = turn else {
            self.report_stale(of, key, outcome);
            return Ok(Next::Answer(answer));
        };
        let refresh = Refresh {
            created,
            ahead: !stale,
            ours,
        };
        Ok(Next::Refresh(Due {
            slot,
            answer,
            since,
            refresh,
        }))
    }

    /// Tells the listener that an entry answers although it is to be refreshed.
    pub(super) fn report_meanwhile<T>(
        &self,
        of: Of,
        key: &str,
        (value, outcome): &Answer<T>,
        since: Option<Instant>,
    ) {
        self.tell_hit(of, key, value.is_some(), *outcome, since);
        self.report_stale(of, key, *outcome);
    }

    /// The stale entry in place of a load that failed, if it is still there. The one that the look-up
    /// found may have been invalidated since.
    pub(super) async fn stale_instead<T: CacheEntity>(
        &self,
        of: Of,
        key: &str,
        config: &OperationConfig,
    ) -> Option<Answer<T>> {
        let now = self.clock.now();
        let answer = self.backend.get_again(key, now).await;
        let (value, outcome) = self.servable(answer, config, now)?;
        if outcome.is_stale() {
            self.turns.failed::<T>(key, now);
        }
        self.report_stale(of, key, outcome);
        Some((value, outcome.degraded_by(REPOSITORY_FAILED)))
    }

    /// Tells the listener that a stale entry is served, if it is one.
    pub(super) fn report_stale(&self, of: Of, key: &str, outcome: Outcome) {
        if outcome.is_stale() {
            self.tell(of, key, &CacheEvent::StaleServed);
        }
    }

    /// What was found, stale or fresh, if it may be served.
    pub(super) fn servable<T: CacheEntity>(
        &self,
        found: Result<Lookup<T>>,
        config: &OperationConfig,
        now: Timestamp,
    ) -> Option<Answer<T>> {
        let Ok(Lookup::Hit { entry, .. }) = found else {
            return None;
        };
        let stale = match self.state_now(&entry, config, now) {
            State::Fresh | State::Ahead => false,
            State::Revalidated | State::IfError => true,
            State::Outlived => return None,
        };
        let outcome = Outcome::of(Source::Cache).aged(entry.created, now);
        Some((entry.value, outcome.stale(stale)))
    }
}

const REPOSITORY_FAILED: Degraded = Degraded {
    read: false,
    store: false,
    invalidation_pending: false,
    repository: true,
};

const NOT_STORED: Degraded = Degraded {
    read: false,
    store: true,
    invalidation_pending: false,
    repository: false,
};

/// The error of a look-up that has no fallback.
fn unanswered<T>(looked_up: LookedUp<T>) -> Error {
    match looked_up.answer {
        Err(error) => error,
        Ok(_) => Error::Internal("no answer".into()),
    }
}
