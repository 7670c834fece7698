//! The leases of a group: takes them, and waits while another process holds one.

use std::mem;
use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

use crate::backend::{CacheBackend, Fence, Invalidated, LeaseRequest, Leased, Lookup, Take};
use crate::clock::Timestamp;
use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::observability::{CacheEvent, Outcome, Source};
use crate::policy::State;
use crate::repository::DataRepository;
use crate::strategy::{LeaseReply, LeaseStep, after_lease};
use crate::together::behind_the_others;
use crate::trace::Span;

use super::{Completed, HeldLease, Led, Loads, Then, commands, timer};

const FIRST_POLL: Duration = Duration::from_millis(5);
const LONGEST_POLL: Duration = Duration::from_millis(80);

/// How often a lease is requested if the key changes at every try.
const LEASE_TRIES: usize = 4;

/// Misses on which other processes hold the leases.
pub(super) struct Others<B: CacheBackend> {
    group: Vec<Led<B>>,
    since: Instant,
    pause: Duration,
}

impl<B: CacheBackend> Others<B> {
    fn new(group: Vec<Led<B>>) -> Self {
        Self {
            group,
            since: Instant::now(),
            pause: FIRST_POLL,
        }
    }
}

/// What the answer to a request for a lease means.
enum Reply<L> {
    Granted(L, Fence),
    /// No lease is available; nothing is stored.
    Refused,
    /// There is an entry by now.
    Found,
    /// Another caller holds one.
    Busy(Fence),
}

/// What a second look-up found.
pub(super) enum Again<T> {
    Fresh(Entry<T>),
    Stale(Option<Fence>),
    /// Nothing, or a lease.
    Nothing(Option<Fence>),
}

impl<B, T, R> Loads<'_, B, T, R>
where
    B: CacheBackend,
    T: CacheEntity,
    R: DataRepository<T> + ?Sized,
{
    /// What a second look-up means to this call.
    pub(super) fn again(&self, answer: Result<Lookup<T>>, now: Timestamp) -> Again<T> {
        match answer {
            Ok(Lookup::Hit { entry, fence }) => {
                match self.expander.state_now(&entry, self.config, now) {
                    State::Fresh | State::Ahead => Again::Fresh(entry),
                    State::Revalidated | State::IfError => Again::Stale(fence),
                    State::Outlived => Again::Nothing(fence),
                }
            }
            Ok(Lookup::Miss { fence, .. }) => Again::Nothing(fence),
            Err(_) => Again::Nothing(None),
        }
    }

    /// Takes the leases of `group`, all at once. Returns the misses that this call must load, and
    /// the next step for those that another process is loading or has loaded.
    ///
    /// # Errors
    /// An invalidation that failed; by then all have been sent.
    pub(super) async fn lease(&self, group: Vec<Led<B>>) -> Result<(Vec<Led<B>>, Vec<Then<B, T>>)> {
        let (mut ready, mut asking, mut others) = (Vec::new(), Vec::new(), Vec::new());
        let mut then = Vec::new();
        let mut unstored = Vec::new();
        for mut led in group {
            match led.miss.take {
                // An earlier leader of the flight took it.
                _ if !led.leader.wants_lease() => ready.push(led),
                Some(_) => asking.push(led),
                None => {
                    led.degraded.store = true;
                    unstored.push(led);
                }
            }
        }
        if !unstored.is_empty() {
            // A store that is known to be down fails at once. Yielding gives concurrent callers a
            // chance to follow before the load begins.
            behind_the_others().await;
            ready.extend(unstored.into_iter().map(Led::unstored));
        }

        for _ in 0..LEASE_TRIES {
            if asking.is_empty() {
                break;
            }
            let since = self.expander.stopwatch();
            let answers = self.ask(&asking).await;
            let mut found = Vec::new();
            let mut failed = None;
            for (mut led, answer) in asking.into_iter().zip(answers) {
                match self.judge(&mut led, since, answer) {
                    Ok(Reply::Granted(lease, fence)) => {
                        led.leader.granted(fence, |held| held.keep(lease));
                        ready.push(led);
                    }
                    Ok(Reply::Refused) => ready.push(led),
                    Ok(Reply::Found) => found.push(led),
                    Ok(Reply::Busy(theirs)) => {
                        led.theirs = Some(theirs);
                        others.push(led);
                    }
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            if let Some(error) = failed {
                return Err(error);
            }
            asking = self.look_at(found, &mut then).await;
            for led in &mut asking {
                // The entry is gone again or unusable. A lease over it can always be taken.
                led.miss.take = Some(Take::Over);
            }
        }
        ready.extend(asking.into_iter().map(Led::unstored));
        if !others.is_empty() {
            then.push(Then::Others(Others::new(others)));
        }
        Ok((ready, then))
    }

    /// Requests the leases of `asking`.
    async fn ask(&self, asking: &[Led<B>]) -> Vec<Result<Leased<B::Lease>>> {
        let backend = &self.expander.backend;
        let now = self.expander.clock.now();
        let request = |led: &Led<B>| {
            let key = self.calls[led.miss.slot].key;
            let id = led.leader.lease_id();
            led.leader
                .asks(|| HeldLease::unanswered::<T>(backend, key, id, now));
            let take = led.miss.take.unwrap_or(Take::Over);
            (key, LeaseRequest { id, take, now })
        };
        let requests: Vec<_> = asking.iter().map(request).collect();
        let leasing = pin!(commands::lease::<T, B>(backend, &requests));
        Span::lease(requests.len()).around(leasing).await
    }

    /// Applies an answer to its call, and tells the listener.
    fn judge(
        &self,
        led: &mut Led<B>,
        since: Option<std::time::Instant>,
        answer: Result<Leased<B::Lease>>,
    ) -> Result<Reply<B::Lease>> {
        let expander = self.expander;
        let key = self.calls[led.miss.slot].key;
        let take = led.miss.take.unwrap_or(Take::Over);
        if let (Take::Invalidating, Ok(Leased::Granted { .. } | Leased::NoRoom)) = (take, &answer) {
            led.invalidated = Some(Invalidated::Done.within(expander.backend.scope()));
            expander.tell_invalidated(self.of, key, since);
        }
        let strict = self.config.strict_invalidation;
        let reply = match &answer {
            Ok(Leased::Granted { .. }) => LeaseReply::Granted,
            Ok(Leased::Found) => LeaseReply::Found,
            Ok(Leased::Busy { .. }) => LeaseReply::Busy,
            Ok(Leased::Writing) => LeaseReply::Writing,
            Ok(Leased::NoRoom) => LeaseReply::NoRoom,
            Ok(Leased::Pending) => LeaseReply::Pending { strict },
            Err(_) => LeaseReply::Failed,
        };
        match &answer {
            Ok(Leased::Pending) => {
                expander.tell(self.of, key, &CacheEvent::InvalidationPending);
                led.degraded.invalidation_pending = true;
            }
            Err(error) => expander.tell_failure(self.of, key, "lease", error),
            Ok(_) => {}
        }
        match (after_lease(take, reply), answer) {
            (LeaseStep::LoadAndStore, Ok(Leased::Granted { lease, fence })) => {
                Ok(Reply::Granted(lease, fence))
            }
            (LeaseStep::LookAgain, _) => Ok(Reply::Found),
            (LeaseStep::Wait, Ok(Leased::Busy { fence })) => Ok(Reply::Busy(fence)),
            (LeaseStep::LoadUnstored { degraded }, answer) => {
                refused(led, answer.as_ref().err());
                led.degraded.store |= degraded;
                Ok(Reply::Refused)
            }
            (LeaseStep::LoadAndStore | LeaseStep::Wait | LeaseStep::Fail, answer) => {
                refused(led, answer.as_ref().err());
                let unconfirmed = || Error::BackendError("the store has not confirmed it".into());
                let error = answer.err().unwrap_or_else(unconfirmed);
                Err(error.during("invalidate", key))
            }
        }
    }

    /// Looks up the keys of `group` once more. Answers those that are there by now; returns the
    /// others, each with the current fence.
    async fn look_at(&self, group: Vec<Led<B>>, then: &mut Vec<Then<B, T>>) -> Vec<Led<B>> {
        if group.is_empty() {
            return group;
        }
        let keys: Vec<&str> = group
            .iter()
            .map(|led| self.calls[led.miss.slot].key)
            .collect();
        let now = self.expander.clock.now();
        let looking = pin!(commands::get_again::<T, B>(
            &self.expander.backend,
            &keys,
            now
        ));
        let answers = Span::look_up(keys.len()).around(looking).await;
        let mut missing = Vec::new();
        for (mut led, answer) in group.into_iter().zip(answers) {
            led.standing = match self.again(answer, now) {
                Again::Fresh(entry) => {
                    then.push(self.complete_with(led, entry));
                    continue;
                }
                Again::Stale(_) => None,
                Again::Nothing(fence) => fence,
            };
            missing.push(led);
        }
        missing
    }

    /// Answers all followers with what another caller has stored meanwhile.
    fn complete_with(&self, led: Led<B>, entry: Entry<T>) -> Then<B, T> {
        refused(&led, None);
        led.leader
            .complete(Ok(Completed::of(&entry.value, entry.created, true)));
        let outcome = Outcome::of(Source::Cache);
        self.answered(&led.miss, entry.value, entry.created, outcome, led.degraded)
    }

    /// Waits, within bounds, until the holder of at least one of the leases has loaded its key or
    /// given up. This call loads the keys that were given up.
    pub(super) async fn wait_for_others(&self, others: Others<B>) -> Result<Vec<Then<B, T>>> {
        let Others {
            group: mut waiting,
            since,
            mut pause,
        } = others;
        let mut then = Vec::new();
        while then.is_empty() {
            let left = self.expander.lease_wait.saturating_sub(since.elapsed());
            timer::sleep_for(pause.min(left)).await?;
            pause = (pause * 2).min(LONGEST_POLL);
            let over = since.elapsed() >= self.expander.lease_wait;
            for mut led in self.look_at(mem::take(&mut waiting), &mut then).await {
                if !over && led.theirs.is_some() && led.standing == led.theirs {
                    waiting.push(led);
                } else {
                    led.miss.take = Some(Take::Over);
                    then.push(Then::Lead(led));
                }
            }
        }
        if !waiting.is_empty() {
            let group = waiting;
            then.push(Then::Others(Others {
                group,
                since,
                pause,
            }));
        }
        Ok(then)
    }
}

/// The flight goes on without a lease. What a failed command may have left is cleaned up.
fn refused<B: CacheBackend>(led: &Led<B>, error: Option<&Error>) {
    if let Some(held) = led.leader.refused() {
        held.answered(error);
    }
}
