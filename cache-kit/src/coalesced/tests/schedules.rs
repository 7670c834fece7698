//! Random schedules: callers come, go and are not polled, queries end in every way and order, rows
//! are updated, time passes.

use std::future::poll_fn;
use std::task::Poll;

use fastrand::Rng;

use super::repository::{
    Loading, Outcome, Table, at_rest, coalesced, futures_poll, load, refresh, turns,
};
use super::*;

const KEYS: u32 = 5;
const MAX: usize = 3;

struct Call {
    id: u32,
    refreshes: bool,
    /// The row's version when it asked.
    version: u32,
    loading: Loading,
}

impl Call {
    /// Polls it once; true if it has ended. Its answer must be one that it may get.
    fn ended(&mut self, table: &Table) -> bool {
        let Some(answer) = futures_poll(&mut self.loading) else {
            return false;
        };
        match answer {
            Ok(row) => {
                let row = row.expect("every row is there");
                assert_eq!(row.id, self.id);
                assert!(row.version >= self.version, "read before it was asked for");
            }
            Err(error) => {
                let text = error.to_string();
                let query = text.rsplit_once("query ").and_then(|(_, n)| n.parse().ok());
                let query: Option<usize> = query;
                match query {
                    Some(query) => {
                        let ids = &table.queries()[query];
                        assert!(ids.contains(&self.id), "another's error: {text}");
                        assert!(self.refreshes || ids.len() == 1, "a batch's error: {text}");
                    }
                    None => assert!(self.refreshes, "{text}"),
                }
            }
        }
        true
    }
}

async fn schedule(seed: u64) {
    let mut random = Rng::with_seed(seed);
    let table = Table::on_command();
    let users = coalesced(&table, MAX);
    let mut calls: Vec<Call> = Vec::new();
    for _ in 0..random.usize(10..120) {
        match random.u32(0..14) {
            0..4 => {
                let id = random.u32(0..KEYS);
                let refreshes = random.bool();
                let loading = match refreshes {
                    true => refresh(&users, id),
                    false => load(&users, id),
                };
                let version = table.version(id);
                let mut call = Call {
                    id,
                    refreshes,
                    version,
                    loading,
                };
                assert!(!call.ended(&table), "every query waits for its command");
                calls.push(call);
            }
            4..7 if !calls.is_empty() => {
                let call = random.usize(..calls.len());
                if calls[call].ended(&table) {
                    calls.swap_remove(call);
                }
            }
            7 if !calls.is_empty() => drop(calls.swap_remove(random.usize(..calls.len()))),
            8 => table.update(random.u32(0..KEYS)),
            9 => tokio::time::advance(Duration::from_millis(random.u64(1..12))).await,
            10..12 => {
                let outcomes = [
                    Outcome::Rows,
                    Outcome::Rows,
                    Outcome::Error,
                    Outcome::Panic,
                    Outcome::TooFew,
                ];
                if let Some(query) = random.choice(table.waiting())
                    && let Some(mut outcome) = random.choice(outcomes)
                {
                    if table.queries()[query].len() == 1 && outcome == Outcome::TooFew {
                        outcome = Outcome::Error;
                    }
                    table.end(query, outcome);
                }
            }
            _ => tokio::task::yield_now().await,
        }
    }
    table.end_all();
    for _ in 0..10 {
        turns().await;
        calls.retain_mut(|call| !call.ended(&table));
        tokio::time::advance(PATIENCE).await;
    }
    assert!(calls.is_empty(), "{} calls hang", calls.len());
    turns().await;
    assert!(users.queue.is_empty(), "something waits for ever");
    assert_eq!(table.alive(), 0, "a query without a caller");
    for ids in table.queries() {
        let mut each = ids.clone();
        each.sort_unstable();
        each.dedup();
        assert!(each.len() == ids.len() && ids.len() <= MAX, "{ids:?}");
    }
}

#[test]
fn in_every_schedule_each_caller_gets_its_own_answer() {
    let schedules = std::env::var("CACHE_KIT_SCHEDULES").map(|n| n.parse().expect("a number"));
    for seed in 0..schedules.unwrap_or(500) {
        let _seed = Seed(seed);
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(schedule(seed));
    }
}

/// Says which schedule has failed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("schedule {}", self.0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads_nobody_hangs_who_stays() {
    for _ in 0..20 {
        let table = Table::that_takes(Duration::from_micros(100));
        let users = coalesced(&table, 8);
        let mut tasks = JoinSet::new();
        for task in 0..200_u32 {
            let users = users.clone();
            tasks.spawn(async move {
                let mut random = Rng::new();
                for _ in 0..10 {
                    let id = random.u32(0..100);
                    let mut loading = load(&users, id);
                    let stays = random.bool();
                    let mut polls = random.u32(1..5);
                    let answer = poll_fn(|cx| {
                        polls = polls.saturating_sub(1);
                        match loading.as_mut().poll(cx) {
                            Poll::Pending if polls == 0 && !stays => Poll::Ready(None),
                            polled => polled.map(Some),
                        }
                    });
                    if let Some(row) = answer.await {
                        assert_eq!(row.expect("a row").expect("some").id, id, "task {task}");
                    }
                }
            });
        }
        let all = tokio::time::timeout(Duration::from_secs(60), tasks.join_all());
        assert!(all.await.is_ok(), "some hang");
        at_rest(&users, &table).await;
    }
}
