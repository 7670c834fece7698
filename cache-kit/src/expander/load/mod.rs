//! [`Loads`]: the one load engine. It answers the misses of one call, be it for a single key or for
//! many: finds their flights, takes the leases of those that it leads, loads, answers all that
//! follow, and stores.

mod commands;
mod held;
mod lease;
mod publish;
mod retry;
mod rows;
mod timer;
mod wait;

use std::any::Any;
use std::mem;
use std::pin::pin;
use std::sync::Arc;

use crate::backend::{CacheBackend, Fence, LeaseId, Take};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::flight::{Leader, Place, Pulse, View, beating};
use crate::observability::{CacheEvent, Degraded, Outcome, Source};
use crate::repository::DataRepository;
use crate::shards::TypedKey;
use crate::strategy::{CacheStrategy, Situation, Step, next_step};
use crate::together::Together;

use super::call::{Answer, Call};
use super::{CacheExpander, OperationConfig};

pub(super) use commands::counted;
pub(super) use held::Held;
use wait::{End, Waiting};

/// How often a caller looks up once more because a lease stands that it cannot have seen. After
/// that it loads.
const LOOKS: u8 = 4;

/// What a flight completes with. It serves every entity type, so the entity is type-erased.
pub(super) type Completion = Result<Completed>;

#[derive(Clone)]
pub(super) struct Completed {
    value: Option<Arc<dyn Any + Send + Sync>>,
    created: Timestamp,
    /// Whether it was in the cache after all.
    cached: bool,
}

impl Completed {
    fn of<T: CacheEntity>(value: &Option<Arc<T>>, created: Timestamp, cached: bool) -> Self {
        Self {
            value: value.clone().map(|value| value as _),
            created,
            cached,
        }
    }
}

/// A key of the call that the cache cannot answer.
pub(super) struct Miss {
    pub(super) slot: usize,
    /// Which lease to store under; `None` stores nothing.
    pub(super) take: Option<Take>,
    /// What the call has seen; one that has not looked up follows no flight.
    pub(super) view: Option<View>,
    /// Whether the look-up found a stale entry.
    pub(super) stale: bool,
    /// Whether the cache could not be read.
    pub(super) read_failed: bool,
    /// How often it has been looked up since.
    pub(super) looks: u8,
}

/// A miss whose flight this call leads.
struct Led<B: CacheBackend> {
    miss: Miss,
    leader: Leader<Held<B>, Completion>,
    degraded: Degraded,
    /// The lease of another process that is loading the key.
    theirs: Option<Fence>,
    /// What stood under the key when it was last looked up.
    standing: Option<Fence>,
}

/// How the rows are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Query {
    /// `fetch_by_id`; the call has one key.
    One,
    /// `fetch_by_ids`.
    Many,
}

/// The loads of one call.
pub(super) struct Loads<'c, B: CacheBackend, T: CacheEntity, R: ?Sized> {
    pub(super) expander: &'c CacheExpander<B>,
    pub(super) calls: &'c [Call<'c, T>],
    pub(super) repository: &'c R,
    pub(super) query: Query,
    pub(super) strategy: CacheStrategy,
    pub(super) config: &'c OperationConfig,
    /// By slot.
    pub(super) answers: Vec<Option<Answer<T>>>,
}

impl<B, T, R> Loads<'_, B, T, R>
where
    B: CacheBackend,
    T: CacheEntity,
    R: DataRepository<T> + ?Sized,
{
    /// Answers all `misses`.
    ///
    /// What this call leads is loaded before anything is waited for, here and whenever a wait makes
    /// it lead more: two calls that wait for each other's flights would both hold what the other
    /// one needs.
    pub(super) async fn answer(&mut self, misses: Vec<Miss>) -> Result<()> {
        let deadline = self.deadline();
        // From when it first waits.
        let mut end = None;
        let mut joining = misses;
        let (mut led, mut looking) = (Vec::new(), Vec::new());
        let mut waits = Together::new();
        loop {
            for miss in joining.drain(..) {
                match self.place(&miss) {
                    Place::Lead(leader) => led.push(Led::new(miss, leader)),
                    Place::Follow(follower) => {
                        let end = wait::end(&mut end, deadline)?;
                        waits.push(wait::wait(miss, Waiting::Follow(follower), end));
                    }
                    Place::Wait(waiter) => {
                        let end = wait::end(&mut end, deadline)?;
                        waits.push(wait::wait(miss, Waiting::Wait(waiter), end));
                    }
                    Place::LookAgain => looking.push(miss),
                }
            }
            if !led.is_empty() {
                self.lead(mem::take(&mut led)).await?;
            }
            if !looking.is_empty() {
                joining = self.look_again(mem::take(&mut looking)).await;
                continue;
            }
            if waits.is_empty() {
                return Ok(());
            }
            for (_, (mut miss, end)) in waits.some().await {
                match end? {
                    End::Completed(completion) => self.follow(miss, completion).await?,
                    End::Lead(leader) => led.push(Led::new(miss, leader)),
                    End::Stalled(leader) => {
                        // Its lease may stand, and is not going to be filled.
                        miss.take = miss.take.map(|take| match take {
                            Take::IfMissing => Take::Over,
                            other => other,
                        });
                        led.push(Led::new(miss, leader));
                    }
                    End::LookAgain => looking.push(miss),
                    End::JoinAgain => joining.push(miss),
                    End::TimedOut => {
                        let key = self.calls[miss.slot].key;
                        let error =
                            format!("another call's load gave no answer within {deadline:?}");
                        let error = Error::Timeout(error).during("load", key);
                        self.expander.report(key, &error);
                        self.stale_or_error(miss, error).await?;
                    }
                }
            }
        }
    }

    /// How long a load of this call may take, and how long it waits for another call's.
    fn deadline(&self) -> std::time::Duration {
        let of_call = self.config.load_deadline;
        of_call.unwrap_or(self.expander.load_deadline)
    }

    fn place(&self, miss: &Miss) -> Place<Held<B>, Completion> {
        let flights = &self.expander.flights;
        let key = TypedKey::of::<T>(self.calls[miss.slot].key);
        let id = LeaseId(fastrand::u64(..));
        match miss.view {
            Some(view) => match flights.join_or_lead(&key, view, id) {
                Place::LookAgain if miss.looks >= LOOKS => Place::Lead(flights.lead(&key, id)),
                place => place,
            },
            None => Place::Lead(flights.lead(&key, id)),
        }
    }

    /// Completes all flights of `group`.
    async fn lead(&mut self, group: Vec<Led<B>>) -> Result<()> {
        let pulse = Pulse::new();
        for led in &group {
            led.leader.shows(&pulse);
        }
        let leading = pin!(async {
            let (ours, others) = self.lease(group).await?;
            self.load(ours).await?;
            self.wait_for_others(others).await
        });
        beating(&pulse, leading).await
    }

    /// Looks up once more what may have changed since the last look-up. What is there by now is
    /// answered; gives the others.
    async fn look_again(&mut self, misses: Vec<Miss>) -> Vec<Miss> {
        let keys: Vec<&str> = misses
            .iter()
            .map(|miss| self.calls[miss.slot].key)
            .collect();
        let looked = self.expander.flights.tick();
        let now = self.expander.clock.now();
        let answers = commands::get::<T, B>(&self.expander.backend, &keys, now).await;
        let mut missing = Vec::new();
        for (mut miss, answer) in misses.into_iter().zip(answers) {
            let seen = match lease::Again::of(answer, now) {
                lease::Again::Fresh(entry) => {
                    let outcome = Outcome::of(Source::Cache).aged(entry.created, now);
                    self.answers[miss.slot] = Some((entry.value, outcome));
                    continue;
                }
                lease::Again::Stale(fence) | lease::Again::Nothing(fence) => fence,
            };
            if let Some(view) = &mut miss.view {
                (view.looked, view.seen) = (looked, seen);
            }
            miss.looks += 1;
            missing.push(miss);
        }
        missing
    }

    /// Answers a miss with what another call's flight completed with.
    async fn follow(&mut self, miss: Miss, completion: Completion) -> Result<()> {
        let completed = match completion {
            Ok(completed) => completed,
            Err(error) => return self.stale_or_error(miss, error).await,
        };
        let key = self.calls[miss.slot].key;
        let Ok(value) = completed.value.map(Arc::downcast::<T>).transpose() else {
            let error = Error::BackendError("a shared load brought another type".into());
            return Err(error.during("load", key));
        };
        let source = if completed.cached {
            Source::Cache
        } else {
            self.expander.event(key, CacheEvent::Shared);
            Source::Shared
        };
        let outcome = Outcome::of(source);
        self.settle(
            &miss,
            value,
            completed.created,
            outcome,
            Degraded::default(),
        );
        Ok(())
    }

    /// Answers a miss.
    fn settle(
        &mut self,
        miss: &Miss,
        value: Option<Arc<T>>,
        created: Timestamp,
        outcome: Outcome,
        mut degraded: Degraded,
    ) {
        degraded.read = miss.read_failed;
        let outcome = outcome.degraded_by(degraded);
        let outcome = match &value {
            Some(_) => outcome.aged(created, self.expander.clock.now()),
            None => outcome,
        };
        self.answers[miss.slot] = Some((value, outcome));
    }

    /// Answers a miss whose load failed with the stale entry, if the table allows it.
    ///
    /// # Errors
    /// `error`, if it doesn't.
    async fn stale_or_error(&mut self, miss: Miss, error: Error) -> Result<()> {
        let failed = Situation::RepositoryFailed {
            stale_found: miss.stale,
        };
        if next_step(self.strategy, failed) != Step::FeedStale {
            return Err(error);
        }
        let key = self.calls[miss.slot].key;
        let stale = self.expander.stale_instead::<T>(key).await;
        self.answers[miss.slot] = Some(stale.ok_or(error)?);
        Ok(())
    }
}

impl<B: CacheBackend> Led<B> {
    fn new(miss: Miss, leader: Leader<Held<B>, Completion>) -> Self {
        Self {
            miss,
            leader,
            degraded: Degraded::default(),
            theirs: None,
            standing: None,
        }
    }

    /// This flight, without a lease.
    fn unstored(mut self) -> Self {
        self.degraded.store = true;
        if let Some(held) = self.leader.refused() {
            held.answered(None);
        }
        self
    }
}
