//! [`Loads`]: the load engine. It answers the misses of one call, for a single key or for many: it
//! finds their flights, takes the leases of the flights that it leads, loads, answers all
//! followers, and stores.

pub(super) mod commands;
mod elsewhere;
mod held;
mod lease;
mod patience;
mod publish;
mod refresh;
mod retry;
mod rows;
mod timer;
mod wait;

use std::any::Any;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;

use crate::backend::{CacheBackend, LeaseId, Take};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::error::{Error, Result};
use crate::flight::{Place, Pulse, Tick, View, beating};
use crate::observability::{CacheEvent, Degraded, Forwarded, Outcome, Source};
use crate::repository::DataRepository;
use crate::shards::TaggedKey;
use crate::strategy::{Rescue, after_failed_load};
use crate::together::Together;
use crate::trace::Span;

use super::call::{Answer, Call};
use super::report::Of;
use super::{CacheExpander, OperationConfig};

use elsewhere::Elsewhere;
use elsewhere::Led;
pub(super) use elsewhere::{Answers, OwnLoad, Tasks};
pub(super) use held::HeldLease;
use lease::Others;
use wait::{End, Waiting};

/// How often a caller looks up again because there is a lease that it cannot have seen. After that
/// it loads.
const LOOKS: u8 = 4;

/// What a flight completes with. Flights serve every entity type, so the entity is type-erased.
pub(super) type Completion = Result<Completed>;

#[derive(Clone)]
pub(super) struct Completed {
    value: Option<Arc<dyn Any + Send + Sync>>,
    created: Timestamp,
    /// Whether the entity was in the cache after all.
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
#[derive(Clone, Copy)]
pub(super) struct Miss {
    pub(super) slot: usize,
    /// Which lease to store under; `None` stores nothing.
    pub(super) take: Option<Take>,
    /// What the call has seen; a call that has not looked up follows no flight.
    pub(super) view: Option<View>,
    /// Whether the look-up found a stale entry.
    pub(super) stale: bool,
    /// Whether there was no look-up, so that there may be a stale entry.
    pub(super) unseen: bool,
    /// Whether the cache could not be read.
    pub(super) read_failed: bool,
    /// How often it has been looked up since.
    pub(super) looks: u8,
    /// Whether this call loads it itself, since a task of its own came to nothing.
    pub(super) alone: bool,
    /// Whether its entry is within its time to live.
    pub(super) ahead: bool,
    /// Whether the look-up found an entry past its time.
    pub(super) expired: bool,
}

impl Miss {
    /// Why the repository is asked for it.
    fn forwarded(&self) -> Forwarded {
        match (self.take, self.view) {
            (Some(Take::Invalidating), _) => Forwarded::Request,
            (_, None) => Forwarded::Bypass,
            _ if self.expired => Forwarded::Stale,
            _ => Forwarded::Miss,
        }
    }

    /// A key of a cold cache: there is probably nothing, which the lease finds out. Where another call
    /// of this process has a lease, it looks up after all.
    pub(super) fn unseen(slot: usize, take: Take, began: Tick) -> Self {
        Self {
            view: Some(View {
                began,
                looked: Tick::BEGINNING,
                seen: None,
            }),
            unseen: true,
            ..Self::without_look_up(slot, take)
        }
    }

    /// A key that is loaded without being looked up.
    pub(super) fn without_look_up(slot: usize, take: Take) -> Self {
        Self {
            slot,
            take: Some(take),
            view: None,
            stale: false,
            unseen: false,
            read_failed: false,
            looks: 0,
            alone: false,
            ahead: false,
            expired: false,
        }
    }

    /// A key whose entry was seen, in this `view`, and is to be refreshed.
    pub(super) fn of_entry(slot: usize, view: View, ahead: bool) -> Self {
        Self {
            view: Some(view),
            ahead,
            expired: !ahead,
            ..Self::without_look_up(slot, Take::Over)
        }
    }
}

/// How the rows are requested.
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
    /// What the repository is called in errors.
    pub(super) named: &'static str,
    /// Runs loads in tasks of their own, if the repository outlives the call.
    pub(super) tasks: Option<&'c dyn Tasks<B, T>>,
    /// The call, for what is told of it.
    pub(super) of: Of,
    /// Whether no caller hears of a load that fails.
    pub(super) background: bool,
    pub(super) query: Query,
    pub(super) config: &'c OperationConfig,
    /// Whether this call has begun a load itself, which ends with it.
    pub(super) leads: AtomicBool,
}

/// One of the concurrent jobs of a call.
enum Job<B: CacheBackend, T> {
    /// Loads the flights that the call leads.
    Lead(Vec<Led<B>>),
    /// Waits for a task that does so.
    Elsewhere(Elsewhere<T>),
    /// Waits for another process.
    Others(Others<B>),
    /// Waits for another call, until this instant.
    Wait(Miss, Waiting<B>, Instant),
    LookAgain(Vec<Miss>),
}

/// The result of a job.
struct Ended<B: CacheBackend, T> {
    /// Whether it was a load.
    led: bool,
    then: Result<Vec<Then<B, T>>>,
}

/// The result of a job for one key.
enum Then<B: CacheBackend, T> {
    /// The key at this slot is answered.
    Answered(usize, Answer<T>),
    /// The call leads the flight now.
    Lead(Led<B>),
    /// Other processes hold the leases.
    Others(Others<B>),
    /// There may be more to see.
    LookAgain(Miss),
    /// The miss must find its place among the flights again.
    Join(Miss),
}

impl<B, T, R> Loads<'_, B, T, R>
where
    B: CacheBackend,
    T: CacheEntity,
    R: DataRepository<T> + ?Sized,
{
    /// Answers all `misses`, each in its slot of `answers`.
    ///
    /// # Errors
    /// The first one. Loads that are in flight by then are finished, for their followers and for
    /// the cache; the call waits for nothing else.
    pub(super) async fn answer(
        &self,
        misses: Vec<Miss>,
        answers: &mut [Option<Answer<T>>],
    ) -> Result<()> {
        self.answer_led(misses, Vec::new(), answers).await
    }

    /// As [`answer`](Self::answer), also for the misses whose flights this call leads already.
    async fn answer_led(
        &self,
        misses: Vec<Miss>,
        led: Vec<Led<B>>,
        answers: &mut [Option<Answer<T>>],
    ) -> Result<()> {
        let pulse = Pulse::new();
        let answering = pin!(self.work(misses, led, answers, &pulse));
        beating(&pulse, answering).await
    }

    /// Everything that the call waits for is polled concurrently. The call may become the leader of
    /// a flight at any moment, and other calls wait for that flight. If calls waited for one thing
    /// at a time, they could deadlock in a circle.
    async fn work(
        &self,
        misses: Vec<Miss>,
        led: Vec<Led<B>>,
        answers: &mut [Option<Answer<T>>],
        pulse: &Arc<Pulse>,
    ) -> Result<()> {
        let deadline = self.deadline();
        // Counts from when the call first waits.
        let mut end = None;
        let (mut joining, mut leading, mut looking) = (misses, led, Vec::new());
        let mut jobs = Together::new();
        let mut loads = 0;
        let mut outcome = Ok(());
        loop {
            if outcome.is_ok() {
                for miss in joining.drain(..) {
                    let waiting = match self.place(&miss) {
                        Place::Lead(leader) => {
                            leading.push(Led::new(miss, leader));
                            continue;
                        }
                        Place::LookAgain => {
                            looking.push(miss);
                            continue;
                        }
                        Place::Follow(follower) => Waiting::Follow(follower),
                        Place::Wait(waiter) => Waiting::Wait(waiter),
                    };
                    let end = wait::end(&mut end, deadline)?;
                    jobs.push(self.run(Job::Wait(miss, waiting, end)));
                }
                if !leading.is_empty() {
                    let (elsewhere, ours) = self.elsewhere(mem::take(&mut leading));
                    if let Some(elsewhere) = elsewhere {
                        jobs.push(self.run(Job::Elsewhere(elsewhere)));
                    }
                    if !ours.is_empty() {
                        for led in &ours {
                            led.leader.shows(pulse);
                        }
                        loads += 1;
                        self.leads.store(true, Ordering::Relaxed);
                        jobs.push(self.run(Job::Lead(ours)));
                    }
                }
                if !looking.is_empty() {
                    jobs.push(self.run(Job::LookAgain(mem::take(&mut looking))));
                }
            } else {
                // Flights that were left to this call meanwhile are passed on at once.
                leading.clear();
            }
            if jobs.is_empty() || (outcome.is_err() && loads == 0) {
                return outcome;
            }
            for (_, ended) in jobs.some().await {
                loads -= usize::from(ended.led);
                let then = match ended.then {
                    Ok(then) => then,
                    Err(error) => {
                        outcome = outcome.and(Err(error));
                        continue;
                    }
                };
                for then in then {
                    match then {
                        Then::Answered(slot, answer) => answers[slot] = Some(answer),
                        Then::Lead(led) => leading.push(led),
                        Then::Others(others) => jobs.push(self.run(Job::Others(others))),
                        Then::LookAgain(miss) => looking.push(miss),
                        Then::Join(miss) => joining.push(miss),
                    }
                }
            }
        }
    }

    async fn run(&self, job: Job<B, T>) -> Ended<B, T> {
        let led = matches!(job, Job::Lead(_));
        let then = match job {
            Job::Lead(group) => self.lead(group).await,
            Job::Elsewhere(elsewhere) => elsewhere.ended().await,
            Job::Others(others) => self.wait_for_others(others).await,
            Job::Wait(miss, waiting, end) => self.wait(miss, waiting, end).await,
            Job::LookAgain(misses) => Ok(self.look_again(misses).await),
        };
        Ended { led, then }
    }

    /// Takes the leases of `group`, and loads the keys that no other process is loading.
    async fn lead(&self, group: Vec<Led<B>>) -> Result<Vec<Then<B, T>>> {
        let (ours, mut then) = self.lease(group).await?;
        then.extend(self.load(ours).await?);
        Ok(then)
    }

    /// Waits for another call's flight until `end`.
    async fn wait(
        &self,
        mut miss: Miss,
        waiting: Waiting<B>,
        end: Instant,
    ) -> Result<Vec<Then<B, T>>> {
        let then = match wait::wait(waiting, end).await? {
            End::Completed(completion) => self.follow(miss, completion).await?,
            End::Lead(leader) => Then::Lead(Led::new(miss, leader)),
            End::Stalled(leader) => {
                // The stalled leader may hold a lease that will not be filled.
                miss.take = miss.take.map(|take| match take {
                    Take::IfMissing => Take::Over,
                    other => other,
                });
                Then::Lead(Led::new(miss, leader))
            }
            End::LookAgain => Then::LookAgain(miss),
            End::JoinAgain => Then::Join(miss),
            End::TimedOut => {
                let key = self.calls[miss.slot].key;
                let deadline = self.deadline();
                let error = format!("another call's load gave no answer within {deadline:?}");
                let error = Error::Timeout(error).during("load", key);
                self.expander.tell_failure(self.of, key, "wait", &error);
                self.stale_or_error(miss, error).await?
            }
        };
        Ok(vec![then])
    }

    /// How long a load of this call may take, and how long this call waits for another call's load.
    fn deadline(&self) -> std::time::Duration {
        let of_call = self.config.load_deadline;
        of_call.unwrap_or(self.expander.load_deadline)
    }

    fn place(&self, miss: &Miss) -> Place<HeldLease<B>, Completion> {
        let flights = &self.expander.flights;
        let key = TaggedKey::of::<T>(self.calls[miss.slot].key);
        let id = LeaseId(fastrand::u64(..));
        match miss.view {
            Some(view) => match flights.join_or_lead(&key, view, id) {
                Place::LookAgain if miss.looks >= LOOKS => Place::Lead(flights.lead(&key, id)),
                place => place,
            },
            None => Place::Lead(flights.lead(&key, id)),
        }
    }

    /// Looks up keys again that may have changed since the last look-up.
    async fn look_again(&self, misses: Vec<Miss>) -> Vec<Then<B, T>> {
        let keys: Vec<&str> = misses
            .iter()
            .map(|miss| self.calls[miss.slot].key)
            .collect();
        let looked = self.expander.flights.tick();
        let now = self.expander.clock.now();
        let looking = pin!(commands::get_again::<T, B>(
            &self.expander.backend,
            &keys,
            now
        ));
        let answers = Span::look_up(keys.len()).around(looking).await;
        let then = |(mut miss, answer): (Miss, _)| {
            let seen = match self.again(answer, now) {
                lease::Again::Fresh(entry) => {
                    let outcome = Outcome::of(Source::Cache).aged(entry.created, now);
                    return Then::Answered(miss.slot, (entry.value, outcome));
                }
                lease::Again::Stale(fence) | lease::Again::Nothing(fence) => fence,
            };
            if let Some(view) = &mut miss.view {
                (view.looked, view.seen) = (looked, seen);
            }
            miss.looks += 1;
            Then::Join(miss)
        };
        misses.into_iter().zip(answers).map(then).collect()
    }

    /// Answers a miss with the result of another call's flight.
    async fn follow(&self, miss: Miss, completion: Completion) -> Result<Then<B, T>> {
        let completed = match completion {
            Ok(completed) => completed,
            Err(error) => return self.stale_or_error(miss, error).await,
        };
        let key = self.calls[miss.slot].key;
        let Ok(value) = completed.value.map(Arc::downcast::<T>).transpose() else {
            let error = Error::Internal("a shared load brought another type".into());
            return Err(error.during("load", key));
        };
        let source = if completed.cached {
            Source::Cache
        } else {
            self.expander.tell(self.of, key, &CacheEvent::Shared);
            Source::Shared
        };
        let outcome = Outcome::of(source);
        let none = Degraded::default();
        Ok(self.answered(&miss, value, completed.created, outcome, none))
    }

    /// The answer to a miss.
    fn answered(
        &self,
        miss: &Miss,
        value: Option<Arc<T>>,
        created: Timestamp,
        outcome: Outcome,
        mut degraded: Degraded,
    ) -> Then<B, T> {
        degraded.read = miss.read_failed;
        let outcome = outcome.degraded_by(degraded).ahead(miss.ahead);
        let outcome = match outcome.source() {
            Source::Cache => outcome,
            _ => outcome.forwarded_for(miss.forwarded()),
        };
        let outcome = match value.is_some() || outcome.is_hit() {
            true => outcome.aged(created, self.expander.clock.now()),
            false => outcome,
        };
        Then::Answered(miss.slot, (value, outcome))
    }

    /// Answers a miss whose load failed with the stale entry, if the table allows it.
    ///
    /// # Errors
    /// `error`, if it doesn't.
    async fn stale_or_error(&self, miss: Miss, error: Error) -> Result<Then<B, T>> {
        match after_failed_load(miss.stale || miss.unseen) {
            Rescue::Fail => Err(error),
            Rescue::ServeStale => {
                let key = self.calls[miss.slot].key;
                let stale = self
                    .expander
                    .stale_instead::<T>(self.of, key, self.config)
                    .await;
                let Some((value, outcome)) = stale else {
                    return Err(error);
                };
                // No caller hears of the error.
                let subject = self.expander.subject(self.of, key);
                self.expander.reports.log.hidden(&subject, &error);
                let outcome = outcome.forwarded_for(Forwarded::Stale);
                Ok(Then::Answered(miss.slot, (value, outcome)))
            }
        }
    }
}
