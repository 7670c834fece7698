//! One call, from what the feeder asks to what it is fed.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use crate::backend::{CacheBackend, Fence, Lookup, MissReason};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::{Entry, Freshness};
use crate::error::{Error, Result};
use crate::feed::CacheFeed;
use crate::flight::Tick;
use crate::key::KeyText;
use crate::observability::{CacheEvent, Degraded, Outcome, Source};
use crate::repository::DataRepository;
use crate::strategy::{CacheStrategy, Situation, StaleRule, Step, next_step};

use super::fetch::Fetched;
use super::{CacheExpander, OperationConfig};

/// One call: what is asked for, and how.
pub(super) struct Call<'c, T: CacheEntity> {
    /// The cache key.
    pub(super) key: &'c str,
    pub(super) id: &'c T::Key,
    pub(super) config: &'c OperationConfig,
}

/// How far a call comes without awaiting.
pub(super) enum Begun<A> {
    /// Answered from the cache.
    Hit {
        created: Timestamp,
        now: Timestamp,
    },
    Refused(Error),
    /// The rest of it. Boxed, so that the future of a hit has no room for what a hit does not need.
    Asking(Pin<Box<A>>),
}

/// A look-up that has begun.
struct LookUp {
    since: Option<Instant>,
    began: Tick,
    now: Timestamp,
}

/// A look-up and its answer.
pub(super) struct Asked<T> {
    pub(super) began: Tick,
    pub(super) now: Timestamp,
    pub(super) answer: Result<Lookup<T>>,
}

impl<B: CacheBackend> CacheExpander<B> {
    /// Does what needs no awaiting, which is all of a hit in memory.
    #[inline(always)]
    pub(super) fn begin<'c, T, F, R>(
        &'c self,
        feeder: &'c mut F,
        repository: &'c R,
        strategy: CacheStrategy,
        config: OperationConfig,
    ) -> Begun<impl Future<Output = Result<Outcome>> + use<'c, B, T, F, R>>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
        R: DataRepository<T> + ?Sized,
    {
        if let Err(error) = feeder.validate() {
            return Begun::Refused(error);
        }
        // The key is copied only where the feeder cannot lend it, or when it must be loaded.
        let mut key = KeyText::new();
        let mut id = None;
        match feeder.borrowed_id() {
            Some(id) => key.write::<T>(self.namespace.as_ref(), id),
            None => {
                let id = id.insert(feeder.entity_id());
                key.write::<T>(self.namespace.as_ref(), id);
            }
        }
        let mut look_up = None;
        if next_step(strategy, Situation::Begin, StaleRule::GRACE) == Step::LookUp {
            let since = self.stopwatch();
            let began = self.flights.tick();
            let now = self.clock.now();
            if let Some(entry) = self.backend.try_get::<T>(key.as_str(), now) {
                let situation = Situation::of(&entry, now);
                if next_step(strategy, situation, StaleRule::GRACE) == Step::Feed {
                    if let Some(listener) = &self.listener {
                        listener.hit(key.as_str(), since);
                    }
                    let created = entry.created;
                    return match feed_hit(feeder, key.as_str(), entry.value) {
                        Ok(()) => Begun::Hit { created, now },
                        Err(error) => Begun::Refused(error),
                    };
                }
            }
            look_up = Some(LookUp { since, began, now });
        }
        let asking = self.ask(key, id, look_up, feeder, repository, strategy, config);
        Begun::Asking(Box::pin(asking))
    }

    /// Does everything else.
    #[allow(
        clippy::too_many_arguments,
        reason = "of one caller, each used as it is"
    )]
    async fn ask<T, F, R>(
        &self,
        key: KeyText,
        id: Option<T::Key>,
        look_up: Option<LookUp>,
        feeder: &mut F,
        repository: &R,
        strategy: CacheStrategy,
        config: OperationConfig,
    ) -> Result<Outcome>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
        R: DataRepository<T> + ?Sized,
    {
        let id = match (id, feeder.borrowed_id()) {
            (Some(id), _) => id,
            (None, Some(id)) => id.clone(),
            (None, None) => feeder.entity_id(),
        };
        let call = Call {
            key: key.as_str(),
            id: &id,
            config: &config,
        };
        let asked = match look_up {
            Some(look_up) => Some(self.look_up(&call, look_up).await),
            None => None,
        };

        let rule = StaleRule::GRACE;
        let situation = asked.as_ref().map_or(Situation::Begin, Asked::situation);
        let take = match next_step(strategy, situation, rule) {
            Step::Load(take) => Some(take),
            Step::LoadUnstored => None,
            Step::Feed | Step::FeedStale => return self.feed_found(&call, feeder, asked),
            // The look-up is behind us: another one would find the same.
            Step::FeedNone | Step::LookUp => {
                feeder
                    .on_miss(call.key)
                    .map_err(|error| error.during("miss", call.key))?;
                feeder.feed_shared(None);
                return Ok(Outcome::of(Source::Nothing));
            }
            Step::Fail => return Err(unanswered(asked).during("read", call.key)),
        };

        if asked.is_some() {
            feeder
                .on_miss(call.key)
                .map_err(|error| error.during("miss", call.key))?;
        }
        let boarding = asked.as_ref().map(|asked| (asked.began, asked.fence()));
        // Boxed apart, so that a hit of a remote store carries no room for it either.
        match Box::pin(self.fetch(&call, repository, take, boarding)).await {
            Ok(mut fetched) => {
                fetched.degraded.read = situation == Situation::BackendFailed;
                self.deliver(&call, feeder, fetched)
            }
            Err(error) => {
                let failed = Situation::RepositoryFailed {
                    stale_found: situation == Situation::Stale,
                };
                if next_step(strategy, failed, rule) != Step::FeedStale {
                    return Err(error);
                }
                let Some((value, outcome)) = self.stand_in(call.key).await else {
                    return Err(error);
                };
                feed_hit(feeder, call.key, value)?;
                Ok(outcome)
            }
        }
    }

    /// Looks up what was not at hand, and reports it.
    async fn look_up<T: CacheEntity>(&self, call: &Call<'_, T>, look_up: LookUp) -> Asked<T> {
        let asked = Asked {
            began: look_up.began,
            now: look_up.now,
            answer: self.backend.get_again::<T>(call.key, look_up.now).await,
        };
        self.tell(call.key, &asked, look_up.since);
        asked
    }

    /// Tells the listener what a look-up found.
    pub(super) fn tell<T>(&self, key: &str, asked: &Asked<T>, since: Option<Instant>) {
        let Some(listener) = &self.listener else {
            return;
        };
        match (&asked.answer, asked.situation()) {
            (Err(error), _) => listener.error(key, error),
            (Ok(_), Situation::Fresh | Situation::Absence) => listener.hit(key, since),
            (Ok(answer), _) => {
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

    /// Answers with the entry that the look-up found.
    fn feed_found<T, F>(
        &self,
        call: &Call<'_, T>,
        feeder: &mut F,
        asked: Option<Asked<T>>,
    ) -> Result<Outcome>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
    {
        let (value, outcome) = self.found(call.key, asked)?;
        feed_hit(feeder, call.key, value)?;
        Ok(outcome)
    }

    /// The entry that a look-up found, as an answer.
    pub(super) fn found<T>(
        &self,
        key: &str,
        asked: Option<Asked<T>>,
    ) -> Result<(Option<Arc<T>>, Outcome)> {
        let Some(Asked {
            now,
            answer: Ok(Lookup::Hit { entry, .. }),
            ..
        }) = asked
        else {
            return Err(Error::BackendError("no entry to serve".into()).during("read", key));
        };
        Ok(self.served(key, entry, now))
    }

    fn served<T>(&self, key: &str, entry: Entry<T>, now: Timestamp) -> (Option<Arc<T>>, Outcome) {
        let stale = entry.freshness(now) == Freshness::Stale;
        if stale {
            self.event(key, CacheEvent::StaleServed);
        }
        let outcome = Outcome::of(Source::Cache).aged(entry.created, now);
        (entry.value, outcome.stale(stale))
    }

    /// What stands in for a load that failed: the entry within its grace, if it is still there. The
    /// one that the look-up found may have been invalidated since.
    pub(super) async fn stand_in<T: CacheEntity>(
        &self,
        key: &str,
    ) -> Option<(Option<Arc<T>>, Outcome)> {
        let now = self.clock.now();
        let Ok(Lookup::Hit { entry, .. }) = self.backend.get_again(key, now).await else {
            return None;
        };
        if entry.freshness(now) == Freshness::Expired {
            return None;
        }
        let (value, outcome) = self.served(key, entry, now);
        let degraded = Degraded {
            repository: true,
            ..Degraded::default()
        };
        Some((value, outcome.degraded_by(degraded)))
    }

    /// Answers with what a load brought.
    fn deliver<T, F>(
        &self,
        call: &Call<'_, T>,
        feeder: &mut F,
        fetched: Fetched<T>,
    ) -> Result<Outcome>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
    {
        match (&fetched.value, fetched.source) {
            (_, Source::Cache) => feeder
                .on_hit(call.key)
                .map_err(|error| error.during("hit", call.key))?,
            (Some(entity), _) => feeder
                .on_loaded(entity)
                .map_err(|error| error.during("loaded", call.key))?,
            (None, _) => {}
        }
        let outcome = self.outcome_of(&fetched);
        feeder.feed_shared(fetched.value);
        Ok(outcome)
    }

    pub(super) fn outcome_of<T>(&self, fetched: &Fetched<T>) -> Outcome {
        let outcome = Outcome::of(fetched.source)
            .stored(fetched.store)
            .degraded_by(fetched.degraded);
        match &fetched.value {
            Some(_) => outcome.aged(fetched.created, self.clock.now()),
            None => outcome,
        }
    }
}

/// Feeds what the cache has.
#[inline]
fn feed_hit<T, F>(feeder: &mut F, key: &str, value: Option<Arc<T>>) -> Result<()>
where
    T: CacheEntity,
    F: CacheFeed<T> + ?Sized,
{
    feeder
        .on_hit(key)
        .map_err(|error| error.during("hit", key))?;
    feeder.feed_shared(value);
    Ok(())
}

/// The error of a look-up that nothing can stand in for.
pub(super) fn unanswered<T>(asked: Option<Asked<T>>) -> Error {
    match asked.map(|asked| asked.answer) {
        Some(Err(error)) => error,
        _ => Error::BackendError("no answer".into()),
    }
}

impl Situation {
    #[inline]
    fn of<T>(entry: &Entry<T>, now: Timestamp) -> Self {
        match entry.freshness(now) {
            Freshness::Fresh if entry.value.is_none() => Self::Absence,
            Freshness::Fresh => Self::Fresh,
            Freshness::Stale => Self::Stale,
            Freshness::Expired => Self::Nothing,
        }
    }
}

impl<T> Asked<T> {
    pub(super) fn situation(&self) -> Situation {
        match &self.answer {
            Ok(Lookup::Hit { entry, .. }) => Situation::of(entry, self.now),
            Ok(Lookup::Miss { .. }) => Situation::Nothing,
            Err(_) => Situation::BackendFailed,
        }
    }

    /// The fence that the look-up saw.
    pub(super) fn fence(&self) -> Option<Fence> {
        match &self.answer {
            Ok(Lookup::Hit { fence, .. } | Lookup::Miss { fence, .. }) => *fence,
            Err(_) => None,
        }
    }
}
