//! A call for one key: the fast path of a hit, and everything else.

#![expect(
    clippy::manual_async_fn,
    reason = "an `async fn` keeps a second copy of its arguments"
)]

use std::borrow::Borrow;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::backend::CacheBackend;
use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::feed::CacheFeed;
use crate::lease::Take;
use crate::observability::{Age, Outcome, Source};
use crate::policy::{Settings, State};
use crate::repository::DataRepository;
use crate::strategy::{Begin, CacheStrategy, Found, Reader, Step, after_look_up};
use crate::trace::{self, Span};

use super::call::{Answer, Call, LookUp, LookedUp, Next};
use super::load::{Loads, Miss, Query};
use super::report::Of;
use super::{CacheExpander, OperationConfig, Reach};

/// The result of a call's first step, which does not await.
pub(super) enum Begun<K> {
    /// Answered from the cache.
    Hit(Age),
    Refused(Error),
    /// The key, if it was taken from the feeder, and how the call goes on.
    Asks(Option<K>, Opening),
}

/// What is told of a hit: who read it, what it was, and when the look-up began.
pub(crate) type Told = (Reader, Outcome, Option<Instant>);

/// How a call goes on after its beginning.
pub(crate) enum Opening {
    LookUp(Reader, LookUp),
    Load(Take),
}

impl Opening {
    /// The strategy of the call.
    fn strategy(&self) -> CacheStrategy {
        match self {
            Self::LookUp(reader, _) => reader.strategy(),
            Self::Load(Take::Invalidating) => CacheStrategy::Invalidate,
            Self::Load(_) => CacheStrategy::Bypass,
        }
    }
}

/// All that a call takes with it from its beginning.
pub(crate) struct Rest {
    pub(crate) opening: Opening,
    pub(crate) config: OperationConfig,
}

/// What a call knows of its key before it loads.
enum Seen {
    /// It does not look up.
    Nothing,
    /// A look-up hardly pays, and was left out. It would have begun here.
    LeftOut(Option<Instant>),
    LookedUp,
}

/// What a look-up found that did not await.
pub(crate) enum Opened<T> {
    Hit {
        value: Option<Arc<T>>,
        age: Age,
        since: Option<Instant>,
    },
    Asks(Opening),
}

impl<B: CacheBackend> CacheExpander<B> {
    /// Does what needs no awaiting, which is all of a hit in memory. It does not know the repository: a hit
    /// that had it at hand would read it, together with `self`, and wait for both.
    #[inline(always)]
    pub(super) fn begin<T, F>(
        &self,
        feeder: &mut F,
        strategy: CacheStrategy,
        config: &impl Settings,
    ) -> Begun<T::Key>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
    {
        if let Err(error) = feeder.validate() {
            return Begun::Refused(error);
        }
        let mut id = None;
        let opening = match strategy.begin() {
            Begin::Load(take) => Opening::Load(take),
            Begin::LookUp(reader) => {
                // The key is copied only if the feeder cannot lend it, or if it must be loaded.
                let key = match feeder.borrowed_id() {
                    Some(id) => id,
                    None => id.insert(feeder.entity_id()),
                };
                match self.open(key, reader, config) {
                    Opened::Hit { value, age, since } => {
                        let told = (reader, Outcome::hit(age), since);
                        return match self.feed_at_once(feeder, id.as_ref(), value, told) {
                            Ok(()) => Begun::Hit(age),
                            Err(error) => Begun::Refused(error),
                        };
                    }
                    Opened::Asks(opening) => opening,
                }
            }
        };
        Begun::Asks(id, opening)
    }

    /// Looks up what needs no awaiting.
    #[inline(always)]
    pub(crate) fn open<T: CacheEntity>(
        &self,
        id: &T::Key,
        reader: Reader,
        config: &impl Settings,
    ) -> Opened<T> {
        let since = self.stopwatch();
        let began = self.flights.tick();
        let now = self.clock.now();
        let mut drawn = None;
        // What the backend takes for fresh may be stale to this reader.
        if let Some(entry) = self.backend.try_get(self.key::<T>(id), now) {
            let random = || *drawn.insert(fastrand::f64());
            let found = match self.state(&entry, config.freshness(), now, random) {
                State::Fresh => Found::Fresh,
                State::Ahead => Found::Ahead { held: false },
                State::Revalidated | State::IfError | State::Outlived => Found::Nothing,
            };
            if after_look_up(reader, found) == Step::Feed {
                return Opened::Hit {
                    age: Age::of(entry.created, now),
                    value: entry.value,
                    since,
                };
            }
        }
        let look_up = LookUp {
            since,
            began,
            now,
            drawn,
        };
        Opened::Asks(Opening::LookUp(reader, look_up))
    }

    /// Feeds what the cache has in memory. The text of the key is written only if it is wanted. `id` is
    /// the key, unless the feeder lends it.
    #[inline(always)]
    fn feed_at_once<T, F>(
        &self,
        feeder: &mut F,
        id: Option<&T::Key>,
        value: Option<Arc<T>>,
        told: Told,
    ) -> Result<()>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
    {
        self.report_hit::<T>(id.or_else(|| feeder.borrowed_id()), value.is_some(), told);
        if feeder.wants_hits() {
            let key = match id.or_else(|| feeder.borrowed_id()) {
                Some(id) => self.key::<T>(id).text()?,
                None => {
                    return Err(Error::Internal("no key".into()).during("hit", T::cache_prefix()));
                }
            };
            return feed_hit(feeder, &key, value);
        }
        feeder.feed_shared(value);
        Ok(())
    }

    /// Tells the listeners that the cache in memory has answered for `id`, with an entity or an absence.
    #[inline]
    pub(crate) fn report_hit<T: CacheEntity>(&self, id: Option<&T::Key>, found: bool, told: Told) {
        let text = || self.key::<T>(id?).text().ok();
        let (reader, outcome, since) = told;
        let strategy = reader.strategy();
        if self.reports.is_heard()
            && let Some(key) = text()
        {
            self.tell_hit(Of::call::<T>(strategy), &key, found, outcome, since);
        }
        trace::hit(T::cache_prefix(), strategy, &outcome, || {
            let key = self.reports.shows_keys.then(text)??;
            Some(key.as_str().to_owned())
        });
    }

    /// Does everything else.
    ///
    /// The future is allocated for each hit of a remote store, which takes several times as long beyond
    /// 1,032 bytes with the allocator of glibc. So this and what it awaits are blocks, and not functions
    /// that are `async`; and the rest is borrowed where the caller's future has it. A test in
    /// `cached/get.rs` holds it.
    pub(crate) fn ask<'c, T, F, R, A>(
        &'c self,
        mut id: Option<T::Key>,
        rest: A,
        feeder: &'c mut F,
        reach: Reach<'c, B, T, R>,
    ) -> impl Future<Output = Result<Outcome>> + use<'c, B, T, F, R, A>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
        R: DataRepository<T> + ?Sized,
        A: Borrow<Rest>,
    {
        async move {
            let Rest { opening, config } = rest.borrow();
            let id = &*id.get_or_insert_with(|| match feeder.borrowed_id() {
                Some(id) => id.clone(),
                None => feeder.entity_id(),
            });
            let key = self.key::<T>(id).text()?;
            let key = key.as_str();
            let shown = self.reports.shows_keys.then_some(key);
            let span = Span::get(T::cache_prefix(), opening.strategy(), shown);
            let calls = [Call { key, id }];
            let asking = pin!(self.ask_for(&calls, opening, feeder, &reach, config));
            let answer = span.around(asking).await;
            span.ended(&answer);
            answer
        }
    }

    fn ask_for<'c, T, F, R>(
        &'c self,
        calls: &'c [Call<'c, T>; 1],
        opening: &'c Opening,
        feeder: &'c mut F,
        reach: &'c Reach<'c, B, T, R>,
        config: &'c OperationConfig,
    ) -> impl Future<Output = Result<Outcome>> + use<'c, B, T, F, R>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
        R: DataRepository<T> + ?Sized,
    {
        async move {
            // A type with hits in memory has passed this before.
            self.admit::<T>()?;
            let [Call { key, .. }] = calls;
            let (next, seen) = match *opening {
                Opening::Load(take) => {
                    let miss = Miss::without_look_up(0, take);
                    (Next::Load(miss), Seen::Nothing)
                }
                Opening::LookUp(reader, look_up)
                    if let Step::Load(take) = after_look_up(reader, Found::Nothing)
                        && !feeder.wants_misses()
                        && self.turns.is_free::<T>(key)
                        && self.may_skip_look_up::<T>(key, config) =>
                {
                    let miss = Miss::unseen(0, take, look_up.began);
                    (Next::Load(miss), Seen::LeftOut(look_up.since))
                }
                Opening::LookUp(reader, look_up) => {
                    let looked_up = self.look_up(key, look_up).await;
                    match self.next(0, key, reader, config, looked_up)? {
                        Next::Answer(answer) => return feed_found(feeder, key, answer),
                        next => (next, Seen::LookedUp),
                    }
                }
            };
            let loads = Loads {
                expander: self,
                of: Of::call::<T>(opening.strategy()),
                background: false,
                calls,
                repository: reach.repository,
                named: reach.named,
                tasks: reach.tasks,
                query: Query::One,
                config,
                leads: AtomicBool::new(false),
            };
            Box::pin(self.load(loads, next, seen, feeder)).await
        }
    }

    /// Answers what the look-up did not answer.
    async fn load<T, F, R>(
        &self,
        loads: Loads<'_, B, T, R>,
        next: Next<T>,
        seen: Seen,
        feeder: &mut F,
    ) -> Result<Outcome>
    where
        T: CacheEntity,
        F: CacheFeed<T> + ?Sized,
        R: DataRepository<T> + ?Sized,
    {
        let key = loads.calls[0].key;
        let mut rights = Vec::new();
        let next = match next {
            Next::Refresh(due) => {
                let (mut next, taken) = Box::pin(loads.meanwhile(vec![due])).await;
                rights = taken;
                next.pop().map(|(_, next)| next)
            }
            next => Some(next),
        };
        let miss = match next {
            Some(Next::Load(miss)) => miss,
            Some(Next::Answer(answer)) => return feed_found(feeder, key, answer),
            Some(Next::Refresh(_)) | None => return Err(no_answer(key)),
        };
        let missed = matches!(seen, Seen::LookedUp);
        if missed {
            on_miss(feeder, key)?;
        }
        let mut answers = [None];
        let answered = loads.answer_in_time(vec![miss], &mut answers).await;
        if !rights.is_empty() {
            Box::pin(loads.settle(rights, &answers)).await;
        }
        let [answer] = answers;
        if let Seen::LeftOut(since) = seen {
            self.report_unseen(loads.of, key, since, answer.as_ref());
        }
        answered?;
        deliver(feeder, key, answer, missed)
    }

    /// Tells the listener what a look-up would have found that was left out.
    fn report_unseen<T>(
        &self,
        of: Of,
        key: &str,
        since: Option<Instant>,
        answer: Option<&Answer<T>>,
    ) {
        match answer {
            // One in place of an error is a miss.
            Some((value, outcome)) if outcome.is_hit() && !outcome.degraded().repository => {
                self.tell_hit(of, key, value.is_some(), *outcome, since);
            }
            // No time was spent on it.
            _ => self.tell_miss(of, key, None),
        }
    }

    /// Whether a look-up hardly pays, and finds nothing that only a look-up can: an entry that is
    /// answered while it is refreshed.
    fn may_skip_look_up<T: CacheEntity>(&self, key: &str, config: &OperationConfig) -> bool {
        let rules = self.rules(Some(&config.freshness));
        let revalidated = rules.stale_while_revalidate::<T>().unwrap_or_default();
        let ahead = rules
            .refresh_ahead::<T>()
            .is_some_and(|factor| factor > 0.0);
        revalidated.is_zero() && !ahead && self.backend.is_cold(key)
    }

    /// Looks up with an await.
    fn look_up<'c, T: CacheEntity>(
        &'c self,
        key: &'c str,
        look_up: LookUp,
    ) -> impl Future<Output = LookedUp<T>> + use<'c, B, T> {
        async move {
            let getting = pin!(self.backend.get_again::<T>(key, look_up.now));
            let answer = Span::look_up(1).around(getting).await;
            LookedUp { look_up, answer }
        }
    }
}

/// Feeds what a look-up answers the call with.
fn feed_found<T, F>(feeder: &mut F, key: &str, (value, outcome): Answer<T>) -> Result<Outcome>
where
    T: CacheEntity,
    F: CacheFeed<T> + ?Sized,
{
    if outcome.is_hit() {
        feed_hit(feeder, key, value)?;
    } else {
        on_miss(feeder, key)?;
        feeder.feed_shared(value);
    }
    Ok(outcome)
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

fn on_miss<T, F>(feeder: &mut F, key: &str) -> Result<()>
where
    T: CacheEntity,
    F: CacheFeed<T> + ?Sized,
{
    feeder
        .on_miss(key)
        .map_err(|error| error.during("miss", key))
}

fn no_answer(key: &str) -> Error {
    Error::Internal("no answer".into()).during("load", key)
}

/// Feeds the result of a load. A feeder that was told of a miss is told of no hit.
fn deliver<T, F>(
    feeder: &mut F,
    key: &str,
    answer: Option<Answer<T>>,
    missed: bool,
) -> Result<Outcome>
where
    T: CacheEntity,
    F: CacheFeed<T> + ?Sized,
{
    let (value, outcome) = answer.ok_or_else(|| no_answer(key))?;
    if outcome.source() == Source::Cache && !missed {
        feed_hit(feeder, key, value)?;
        return Ok(outcome);
    }
    if let Some(entity) = &value
        && outcome.source() != Source::Cache
    {
        feeder
            .on_loaded(entity)
            .map_err(|error| error.during("loaded", key))?;
    }
    feeder.feed_shared(value);
    Ok(outcome)
}
