//! Waits while another call loads the key: for as long as a load of its own might take, with
//! regular checks that the other call still runs.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use crate::backend::{CacheBackend, LeaseId};
use crate::error::Result;
use crate::flight::{Followed, Follower, Leader, STALLED, Unpolled, Waited, Waiter};

use super::{Completion, Held, timer};

/// How a wait for another call's flight ended.
pub(super) enum End<B: CacheBackend> {
    Completed(Completion),
    /// This call leads it now.
    Lead(Leader<Held<B>, Completion>),
    /// Its leader has stalled; this call leads a newer one.
    Stalled(Leader<Held<B>, Completion>),
    /// There may be more to see.
    LookAgain,
    /// It is over, or there is a newer one.
    JoinAgain,
    /// This call's load deadline has passed.
    TimedOut,
}

/// How often to check whether the leader runs, once that is in doubt.
const LOOKS_EVERY: Duration = Duration::from_millis(250);

/// How many checks in a row must find the leader unpolled. The clock alone proves nothing: if the
/// whole process stood still for a second (a suspended machine, a throttled container), every leader
/// in it seems to have stalled. A caller that has run in between can tell the two apart.
const LOOKS: u32 = 3;

/// The flight of another call.
pub(super) enum Waiting<B: CacheBackend> {
    Follow(Follower<Held<B>, Completion>),
    Wait(Waiter<Held<B>, Completion>),
}

/// The end of all waits of a call: `deadline` after the first one began.
pub(super) fn end(end: &mut Option<Instant>, deadline: Duration) -> Result<Instant> {
    match *end {
        Some(end) => Ok(end),
        None => Ok(*end.insert(timer::after(deadline)?)),
    }
}

/// Waits for another call's flight until `end`.
pub(super) async fn wait<B: CacheBackend>(waiting: Waiting<B>, end: Instant) -> Result<End<B>> {
    match waiting {
        Waiting::Follow(mut follower) => {
            let waited = patiently(&mut follower, end, Follower::unpolled).await;
            waited.map(|waited| match waited {
                Ended::With(Followed::Completed(completion)) => End::Completed(completion),
                Ended::With(Followed::Lead(leader)) => End::Lead(leader),
                Ended::Stalled => newer(follower.supersede(new_id())),
                Ended::TimedOut => End::TimedOut,
            })
        }
        Waiting::Wait(mut waiter) => {
            let waited = patiently(&mut waiter, end, Waiter::unpolled).await;
            waited.map(|waited| match waited {
                Ended::With(Waited::LeaseStood) => End::LookAgain,
                Ended::With(Waited::Over) => End::JoinAgain,
                Ended::Stalled => newer(waiter.supersede(new_id())),
                Ended::TimedOut => End::TimedOut,
            })
        }
    }
}

fn new_id() -> LeaseId {
    LeaseId(fastrand::u64(..))
}

fn newer<B: CacheBackend>(leader: Option<Leader<Held<B>, Completion>>) -> End<B> {
    leader.map_or(End::JoinAgain, End::Stalled)
}

enum Ended<O> {
    With(O),
    Stalled,
    TimedOut,
}

async fn patiently<F: Future + Unpin>(
    flight: &mut F,
    end: Instant,
    unpolled: impl Fn(&F) -> Option<Unpolled>,
) -> Result<Ended<F::Output>> {
    let mut check = Instant::now() + STALLED - LOOKS_EVERY * (LOOKS - 1);
    let (mut wake, mut looks) = (None, 0);
    loop {
        if let Some(output) = timer::until(check.min(end), Pin::new(&mut *flight)).await? {
            return Ok(Ended::With(output));
        }
        if Instant::now() >= end {
            return Ok(Ended::TimedOut);
        }
        let found = unpolled(flight);
        let woken = found.map(|unpolled| unpolled.woken);
        looks = if woken == wake { looks + 1 } else { 1 };
        wake = woken;
        if looks >= LOOKS && found.is_some_and(|unpolled| unpolled.since >= STALLED) {
            return Ok(Ended::Stalled);
        }
        check = Instant::now() + LOOKS_EVERY;
    }
}

#[cfg(all(test, not(cache_kit_model)))]
mod tests {
    use std::cell::Cell;
    use std::future::{Pending, pending};

    use super::*;

    /// How the wait for a leader ends that was woken long ago, as told by a clock that may have jumped.
    async fn waited(wakes_between_looks: u64) -> (Ended<()>, Duration) {
        let begun = Instant::now();
        let woken = Cell::new(1);
        let unpolled = |_: &Pending<()>| {
            woken.set(woken.get() + wakes_between_looks);
            Some(Unpolled {
                woken: woken.get(),
                since: STALLED * 10,
            })
        };
        let end = begun + STALLED * 20;
        match patiently(&mut pending(), end, unpolled).await {
            Ok(ended) => (ended, begun.elapsed()),
            Err(error) => unreachable!("there is a timer: {error}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_has_stalled_when_its_followers_run_and_it_does_not() {
        let (ended, after) = waited(0).await;
        assert!(matches!(ended, Ended::Stalled));
        assert_eq!(after, STALLED);
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_runs_between_the_looks_has_not_stalled() {
        let (ended, after) = waited(1).await;
        assert!(matches!(ended, Ended::TimedOut));
        assert_eq!(after, STALLED * 20);
    }
}
