//! Callers of every kind: they wait, give up, poll once and then pause, or are dropped.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use cache_kit::CacheStrategy::{self, Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::{CacheBackend, Invalidated};
use cache_kit::{Outcome, Result, SharedFeeder, Source};
use fastrand::Rng;
use tokio::time::{sleep, timeout};

use super::World;
use super::rows::{Brief, Lasting, Thing};

/// How long a caller waits.
#[derive(Debug, Clone, Copy)]
enum Patience {
    /// Until it is answered.
    Whole,
    /// For this long.
    Brief(Duration),
    /// For this many polls.
    Polls(u32),
    /// It polls once, does something else for this long, and then waits or not.
    Aside(Duration, bool),
}

/// How a call ended.
enum End<O> {
    Answered(O),
    GivenUp,
    /// Not within any deadline.
    Unanswered,
}

impl Patience {
    fn any(rng: &mut Rng) -> Self {
        match rng.u8(..20) {
            0..10 => Self::Whole,
            10..14 => Self::Brief(Duration::from_micros(rng.u64(..60_000))),
            14..17 => Self::Polls(rng.u32(1..5)),
            17 => Self::Brief(Duration::from_millis(rng.u64(60..400))),
            18 => Self::Aside(Duration::from_millis(rng.u64(5..1_500)), rng.bool()),
            // Longer than any waiter for its load may wait.
            _ if rng.u8(..4) == 0 => {
                Self::Aside(Duration::from_millis(rng.u64(4_000..9_000)), rng.bool())
            }
            _ => Self::Brief(Duration::ZERO),
        }
    }

    async fn wait<O>(self, limit: Duration, call: impl Future<Output = O>) -> End<O> {
        let mut call = pin!(call);
        let patience = match self {
            Self::Whole => limit,
            Self::Brief(patience) => patience,
            Self::Polls(mut left) => {
                let polls = poll_fn(|cx| match call.as_mut().poll(cx) {
                    Poll::Ready(answer) => Poll::Ready(End::Answered(answer)),
                    Poll::Pending if left == 1 => Poll::Ready(End::GivenUp),
                    Poll::Pending => {
                        left -= 1;
                        Poll::Pending
                    }
                });
                return timeout(limit, polls).await.unwrap_or(End::Unanswered);
            }
            Self::Aside(pause, waits) => {
                let once = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx)));
                if let Poll::Ready(answer) = once.await {
                    return End::Answered(answer);
                }
                sleep(pause).await;
                if waits { limit } else { Duration::ZERO }
            }
        };
        match timeout(patience, call).await {
            Ok(answer) => End::Answered(answer),
            Err(_) if patience == limit => End::Unanswered,
            Err(_) => End::GivenUp,
        }
    }
}

/// One call after the other, until the run ends.
pub(super) async fn calls<B: CacheBackend>(world: Arc<World<B>>, seed: u64) {
    let rng = &mut Rng::with_seed(seed);
    while !world.has_ended() {
        one(&world, rng).await;
        sleep(Duration::from_micros(rng.u64(..4_000))).await;
    }
}

/// One call of any kind.
pub(super) async fn one<B: CacheBackend>(world: &World<B>, rng: &mut Rng) {
    if rng.bool() {
        call::<Brief, B>(world, rng, 0).await;
    } else {
        call::<Lasting, B>(world, rng, 1).await;
    }
}

/// A type has every other row.
async fn call<T: Thing, B: CacheBackend>(world: &World<B>, rng: &mut Rng, first: usize) {
    let alone = rng.u8(..3) > 0;
    let count = if alone { 1 } else { rng.usize(1..9) };
    let rows = (0..count).map(|_| rng.usize(..world.rows.len() / 2) * 2 + first);
    let rows: Vec<usize> = rows.collect();
    let process = rng.usize(..world.services.len());
    let patience = Patience::any(rng);
    match rng.u8(..20) {
        0..12 => read::<T, B>(world, process, &rows, alone, Refresh, patience).await,
        12 => read::<T, B>(world, process, &rows, alone, Bypass, patience).await,
        13..15 => read::<T, B>(world, process, &rows, alone, Fresh, patience).await,
        15..17 => {
            let versions: Vec<u64> = rows.iter().map(|row| world.rows.update(*row)).collect();
            invalidate::<T, B>(world, process, &rows, &versions, alone, patience).await;
        }
        17 => {
            let versions: Vec<u64> = rows.iter().map(|row| world.rows.update(*row)).collect();
            reload::<T, B>(world, process, &rows, &versions, alone, patience).await;
        }
        _ => read::<T, B>(world, process, &rows[..1], true, Refresh, patience).await,
    }
}

type Answers<T> = Result<Vec<(Outcome, Option<Arc<T>>)>>;

async fn execute<T: Thing, B: CacheBackend>(
    world: &World<B>,
    process: usize,
    rows: &[usize],
    alone: bool,
    strategy: CacheStrategy,
) -> Answers<T> {
    let service = &world.services[process];
    let id = |row: &usize| world.rows.id(*row).clone();
    if alone {
        let mut feeder = SharedFeeder::<T>::new(id(&rows[0]));
        let outcome = service.execute(&mut feeder, &world.rows, strategy).await?;
        return Ok(vec![(outcome, feeder.entity)]);
    }
    let mut feeders: Vec<_> = rows
        .iter()
        .map(|row| SharedFeeder::<T>::new(id(row)))
        .collect();
    let outcomes = service.execute_many(&mut feeders, &world.rows, strategy);
    let outcomes = outcomes.await?.into_iter();
    Ok(outcomes
        .zip(feeders.into_iter().map(|feeder| feeder.entity))
        .collect())
}

async fn read<T: Thing, B: CacheBackend>(
    world: &World<B>,
    process: usize,
    rows: &[usize],
    alone: bool,
    strategy: CacheStrategy,
    patience: Patience,
) {
    let floors: Vec<u64> = rows
        .iter()
        .map(|row| world.rows.floor(*row, process))
        .collect();
    let call = execute::<T, B>(world, process, rows, alone, strategy);
    match patience.wait(world.limit, call).await {
        End::Answered(answers) => judge(world, process, rows, &floors, strategy, answers),
        End::GivenUp => world.tally.gave_up(),
        End::Unanswered => world.unanswered(process, rows, &format!("{strategy} ({patience:?})")),
    }
}

/// Whether the answer is recent enough.
fn judge<T: Thing, B: CacheBackend>(
    world: &World<B>,
    process: usize,
    rows: &[usize],
    floors: &[u64],
    strategy: CacheStrategy,
    answers: Answers<T>,
) {
    let answers = match answers {
        Ok(answers) => answers,
        Err(error) => return world.tally.failed(&error),
    };
    for ((row, floor), (outcome, entity)) in rows.iter().zip(floors).zip(answers) {
        world.tally.answered(&outcome);
        let seen = entity.map(|entity| entity.version());
        if outcome.source() != Source::Nothing && !world.rows.allows(*row, *floor, seen) {
            world.tally.stale(format!(
                "process {process}, {} {}: {strategy} got {seen:?}, due was {floor}; {outcome:?}",
                T::cache_prefix(),
                world.rows.id(*row),
            ));
        }
    }
}

async fn invalidate<T: Thing, B: CacheBackend>(
    world: &World<B>,
    process: usize,
    rows: &[usize],
    versions: &[u64],
    alone: bool,
    patience: Patience,
) {
    let service = &world.services[process];
    let ids: Vec<String> = rows.iter().map(|row| world.rows.id(*row).clone()).collect();
    let call = async {
        match &ids[..] {
            [id] if alone => service.invalidate::<T>(id).await,
            ids => service.invalidate_many::<T>(ids).await,
        }
    };
    match patience.wait(world.limit, call).await {
        End::Answered(Ok(done)) => {
            world.tally.invalidated(done);
            for (row, version) in rows.iter().zip(versions) {
                match done {
                    Invalidated::Done => world.rows.acknowledged(*row, *version),
                    _ => world.rows.pending(*row, process, *version),
                }
            }
        }
        End::Answered(Err(error)) => world.tally.failed(&error),
        End::GivenUp => world.tally.gave_up(),
        End::Unanswered => world.unanswered(process, rows, "an invalidation"),
    }
}

/// An invalidation that also loads, and must get the version that it made mandatory.
async fn reload<T: Thing, B: CacheBackend>(
    world: &World<B>,
    process: usize,
    rows: &[usize],
    versions: &[u64],
    alone: bool,
    patience: Patience,
) {
    let call = execute::<T, B>(world, process, rows, alone, Invalidate);
    match patience.wait(world.limit, call).await {
        End::Answered(answers) => {
            if let Ok(answers) = &answers {
                for ((row, version), (outcome, _)) in rows.iter().zip(versions).zip(answers) {
                    if outcome.degraded().invalidation_pending {
                        world.rows.pending(*row, process, *version);
                    } else {
                        world.rows.acknowledged(*row, *version);
                    }
                }
            }
            judge(world, process, rows, versions, Invalidate, answers);
        }
        End::GivenUp => world.tally.gave_up(),
        End::Unanswered => world.unanswered(process, rows, "invalidate"),
    }
}
