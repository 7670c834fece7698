//! Random schedules of two processes that share a store, against an oracle.
//!
//! As `contract/oracle.rs` does for memory: whoever begins after an invalidation was acknowledged
//! must get the version that it made mandatory, or a newer one, and the cache is not left with an
//! older one. What the network does in between is up to the machine, so a seed gives the same
//! commands and not the same order of their answers.

#![allow(
    clippy::unwrap_used,
    reason = "test support: what must not fail ends the test"
)]

use std::sync::Arc;

use cache_kit::CacheStrategy::{self, Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::{CacheBackend, Invalidated};
use cache_kit::{CacheService, Outcome, Result, SharedFeeder};
use fastrand::Rng;
use tokio::task::{JoinHandle, JoinSet};

use crate::{Gated, Row};

struct Running {
    /// What was mandatory when the call began.
    floor: u64,
    /// What the row was then: what an invalidation makes mandatory.
    row: u64,
    invalidates: bool,
    task: JoinHandle<Option<u64>>,
}

async fn schedule<B: CacheBackend>(seed: u64, services: [CacheService<B>; 2]) -> usize {
    let rng = &mut Rng::with_seed(seed);
    let database = Gated::closed();
    let id = format!("{seed}");
    let (mut row, mut floor, mut judged) = (0, 0, 0);
    database.set(&id, row);
    let mut running: Vec<Running> = Vec::new();
    for _ in 0..rng.usize(15..40) {
        match rng.u8(..10) {
            0..=2 if running.len() < 6 => {
                let strategy = *rng
                    .choice(&[
                        Some(Refresh),
                        Some(Refresh),
                        Some(Bypass),
                        Some(Fresh),
                        Some(Invalidate),
                        None,
                    ])
                    .unwrap();
                let service = services[rng.usize(..2)].clone();
                let (database, id) = (database.clone(), id.clone());
                running.push(Running {
                    floor,
                    row,
                    invalidates: matches!(strategy, None | Some(Invalidate)),
                    task: tokio::spawn(async move {
                        let Some(strategy) = strategy else {
                            let done = service.invalidate::<Row>(&id).await.unwrap();
                            assert_eq!(done, Invalidated::Done);
                            return None;
                        };
                        let (outcome, seen) =
                            call(&service, &database, &id, strategy).await.unwrap();
                        assert!(!outcome.degraded().any(), "{outcome:?}");
                        seen
                    }),
                });
            }
            3 => {
                row += 1;
                database.set(&id, row);
            }
            4..=5 => database.let_through(1),
            6 if !running.is_empty() && rng.u8(..3) == 0 => {
                let dropped = running.swap_remove(rng.usize(..running.len()));
                dropped.task.abort();
            }
            _ => tokio::task::yield_now().await,
        }
        let mut at = 0;
        while at < running.len() {
            if running[at].task.is_finished() {
                judged += judge(running.swap_remove(at), &mut floor).await;
            } else {
                at += 1;
            }
        }
    }
    database.let_through(1_000);
    for last in running {
        judged += judge(last, &mut floor).await;
    }
    for service in services {
        let (_, left) = call(&service, &database, &id, Fresh).await.unwrap();
        assert!(
            left.is_none_or(|left| left >= floor),
            "{left:?} was left, {floor} was due"
        );
    }
    judged
}

async fn judge(call: Running, floor: &mut u64) -> usize {
    if let Some(seen) = call.task.await.unwrap() {
        assert!(seen >= call.floor, "{seen} is older than {}", call.floor);
    }
    if call.invalidates {
        *floor = (*floor).max(call.row);
    }
    1
}

async fn call<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Gated,
    id: &str,
    strategy: CacheStrategy,
) -> Result<(Outcome, Option<u64>)> {
    let mut feeder = SharedFeeder::<Row>::new(id.to_owned());
    let outcome = service.execute(&mut feeder, database, strategy).await?;
    Ok((outcome, feeder.entity.map(|row: Arc<Row>| row.version)))
}

/// Plays so many schedules over the two services.
///
/// # Panics
///
/// When somebody got what was too old, or nothing much happened.
pub async fn play<B: CacheBackend>(services: [CacheService<B>; 2], schedules: u64) {
    let mut judged = 0;
    let mut under_way = JoinSet::new();
    for seed in 0..schedules {
        if under_way.len() >= 32 {
            judged += under_way.join_next().await.unwrap().unwrap();
        }
        under_way.spawn(schedule(seed, services.clone()));
    }
    while let Some(done) = under_way.join_next().await {
        judged += done.unwrap();
    }
    assert!(
        judged as u64 > 2 * schedules,
        "the schedules did too little: {judged} answers"
    );
    for service in services {
        assert_eq!(service.expander().loads_in_flight(), 0);
    }
}
