//! Waits while another call loads the key: for as long as a load of its own might take, with
//! regular checks that the other call still runs.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use crate::backend::{CacheBackend, LeaseId};
use crate::error::Result;
use crate::flight::{Followed, Follower, Leader, STALLED, Waited, Waiter};

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
            let waited = patiently(&mut follower, end, Follower::is_stalled).await;
            waited.map(|waited| match waited {
                Ended::With(Followed::Completed(completion)) => End::Completed(completion),
                Ended::With(Followed::Lead(leader)) => End::Lead(leader),
                Ended::Stalled => newer(follower.supersede(new_id())),
                Ended::TimedOut => End::TimedOut,
            })
        }
        Waiting::Wait(mut waiter) => {
            let waited = patiently(&mut waiter, end, Waiter::is_stalled).await;
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
    is_stalled: impl Fn(&F) -> bool,
) -> Result<Ended<F::Output>> {
    let mut check = Instant::now() + STALLED;
    loop {
        if let Some(output) = timer::until(check.min(end), Pin::new(&mut *flight)).await? {
            return Ok(Ended::With(output));
        }
        if Instant::now() >= end {
            return Ok(Ended::TimedOut);
        }
        if is_stalled(flight) {
            return Ok(Ended::Stalled);
        }
        check = Instant::now() + LOOKS_EVERY;
    }
}
