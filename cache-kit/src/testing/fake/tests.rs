//! What a table does that was told to.

use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};

use super::*;
use crate::repository::DataRepository;
use crate::testing::user::{User, user};

fn error(text: &str) -> Error {
    Error::RepositoryError(text.to_owned())
}

fn with(ids: std::ops::Range<u64>) -> FakeRepository<User> {
    let table = FakeRepository::new();
    for id in ids {
        table.insert(user(id, "Ann"));
    }
    table
}

/// The name under `id`, or the error.
async fn name(table: &FakeRepository<User>, id: u64) -> String {
    match table.fetch_by_id(&id).await {
        Ok(user) => user.map_or_else(|| "none".to_owned(), |user| user.name),
        Err(error) => error.to_string(),
    }
}

fn spawn(table: &FakeRepository<User>, id: u64) -> JoinHandle<String> {
    let table = table.clone();
    tokio::spawn(async move { name(&table, id).await })
}

#[tokio::test]
async fn rows_change_and_queries_are_counted() {
    let table = with(1..3);
    assert_eq!(name(&table.clone(), 1).await, "Ann");
    assert_eq!(table.insert(user(1, "Beth")), Some(user(1, "Ann")));
    assert_eq!(table.remove(&2), Some(user(2, "Ann")));
    assert_eq!(
        (name(&table, 1).await, name(&table, 2).await),
        ("Beth".into(), "none".into())
    );
    let rows = table.fetch_by_ids(&[2, 1]).await.expect("it works");
    assert_eq!(rows, [None, Some(user(1, "Beth"))]);
    assert_eq!(
        (table.queries(), table.queries_of(&1), table.queries_of(&2)),
        (4, 3, 2)
    );
    assert_eq!(
        (table.queries_of(&9), table.batches()),
        (0, vec![vec![2, 1]])
    );
    let shown = format!("{table:?}");
    assert_eq!(shown, "FakeRepository { rows: 1, queries: 4, waiting: 0 }");
}

#[tokio::test]
async fn it_fails_until_it_works() {
    let table = with(1..3);
    table.fail(error("away"));
    for _ in 0..3 {
        assert_eq!(name(&table, 1).await, "repository failed: away");
    }
    assert!(table.fetch_by_ids(&[1, 2]).await.is_err());
    table.work();
    assert_eq!(name(&table, 1).await, "Ann");
}

#[tokio::test]
async fn the_next_queries_fail_and_panic_in_the_order_in_which_they_were_told() {
    let table = with(1..2);
    table.fail_next(2, error("refused"));
    table.fail_next(0, error("never"));
    table.panic_next(1);
    table.fail_next(1, error("gone"));
    for _ in 0..2 {
        assert_eq!(name(&table, 1).await, "repository failed: refused");
    }
    let panic = spawn(&table, 1).await.expect_err("it panics").into_panic();
    assert_eq!(
        panic.downcast_ref::<&str>(),
        Some(&"the repository was told to panic")
    );
    assert_eq!(name(&table, 1).await, "repository failed: gone");
    assert_eq!(name(&table, 1).await, "Ann");
    table.panic_next(1);
    table.fail_next(1, error("gone"));
    table.work();
    assert_eq!(name(&table, 1).await, "Ann", "it forgets what it was told");
    assert_eq!((table.queries(), table.waiting()), (6, 0));
}

#[tokio::test]
async fn a_bad_row_fails_every_query_for_it() {
    let table = with(1..4);
    table.fail_key(&2, error("does not decode"));
    assert_eq!(name(&table, 1).await, "Ann");
    assert_eq!(name(&table, 2).await, "repository failed: does not decode");
    assert!(table.fetch_by_ids(&[1, 2, 3]).await.is_err());
    assert!(table.fetch_by_ids(&[1, 3]).await.is_ok());
    table.work();
    assert!(table.fetch_by_ids(&[1, 2, 3]).await.is_ok());
}

#[tokio::test]
async fn a_query_that_hangs_answers_what_it_has_read_when_it_began() {
    let table = with(1..2);
    table.hang();
    let early = spawn(&table, 1);
    table.until_asked(1).await;
    table.insert(user(1, "Beth"));
    // It goes on to hang, and what has begun is not forgotten.
    table.hang();
    let late = spawn(&table, 1);
    table.until_asked(2).await;
    assert_eq!(table.waiting(), 2);
    table.work();
    assert_eq!(early.await.expect("no panic"), "Ann");
    assert_eq!(late.await.expect("no panic"), "Beth");
    assert_eq!((name(&table, 1).await, table.waiting()), ("Beth".into(), 0));
}

#[tokio::test]
async fn queries_that_hang_fail_when_it_is_told_to_fail() {
    let table = with(1..2);
    table.hang();
    let hangs = spawn(&table, 1);
    table.until_asked(1).await;
    table.fail_next(1, error("refused"));
    assert_eq!(
        name(&table, 1).await,
        "repository failed: refused",
        "at once"
    );
    table.fail(error("reset"));
    assert_eq!(hangs.await.expect("no panic"), "repository failed: reset");
    table.hang();
    let hangs = spawn(&table, 1);
    table.until_asked(3).await;
    table.work();
    assert_eq!(hangs.await.expect("no panic"), "Ann");
}

/// To hang again at once does not catch those that were let go.
#[tokio::test]
async fn no_wake_up_is_lost_however_often_it_hangs_and_works() {
    let table = with(0..1);
    for round in 0..100 {
        table.hang();
        let mut queries = JoinSet::new();
        for _ in 0..10 {
            let table = table.clone();
            queries.spawn(async move { name(&table, 0).await });
        }
        table.until_asked(10 * (round + 1)).await;
        table.work();
        table.hang();
        let ended = timeout(Duration::from_secs(30), queries.join_all()).await;
        assert_eq!(ended.expect("some still hang"), vec!["Ann"; 10]);
        table.work();
    }
}

#[tokio::test]
async fn a_query_that_is_dropped_waits_no_more() {
    let table = with(1..2);
    table.hang();
    let hangs = spawn(&table, 1);
    table.until_asked(1).await;
    assert_eq!(table.waiting(), 1);
    hangs.abort();
    assert!(hangs.await.is_err());
    assert_eq!((table.waiting(), table.queries()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn slow_is_by_tokios_time() {
    let table = with(1..2);
    let hour = Duration::from_secs(3_600);
    table.slow(hour);
    table.fail_next(1, error("late"));
    for answer in ["repository failed: late", "Ann"] {
        let began = Instant::now();
        assert_eq!(name(&table, 1).await, answer);
        assert_eq!(began.elapsed(), hour);
    }
    let slow = spawn(&table, 1);
    table.until_asked(3).await;
    let began = Instant::now();
    table.work();
    assert_eq!(name(&table, 1).await, "Ann");
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(slow.await.expect("no panic"), "Ann");
    assert_eq!(began.elapsed(), hour, "it takes its time");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_queries_is_woken_by_the_last_of_them() {
    let table = with(1..2);
    let second = Duration::from_secs(1);
    assert!(timeout(second, table.until_asked(0)).await.is_ok());
    assert!(timeout(second, table.until_asked(1)).await.is_err());
    let waits = tokio::spawn({
        let table = table.clone();
        async move { table.until_asked(2).await }
    });
    for more in [false, true] {
        tokio::task::yield_now().await;
        assert!(!waits.is_finished(), "{more}");
        name(&table, 1).await;
    }
    assert!(timeout(second, waits).await.is_ok());
}

#[test]
fn counts_are_exact_with_a_thousand_tasks() {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(4).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let table = with(0..10);
        table.hang();
        table.fail_next(100, error("refused"));
        let mut tasks = JoinSet::new();
        for task in 0..1_000_u64 {
            let table = table.clone();
            tasks.spawn(async move {
                match task % 2 {
                    0 => table.fetch_by_id(&(task % 10)).await.is_ok(),
                    _ => table.fetch_by_ids(&[task % 10, 10]).await.is_ok(),
                }
            });
        }
        table.until_asked(1_000).await;
        // Those that were told to fail do not hang.
        for _ in 0..10_000_000 {
            if table.waiting() == 900 {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!((table.queries(), table.waiting()), (1_000, 900));
        assert_eq!(table.batches().len(), 500);
        assert!((0..10).all(|id| table.queries_of(&id) == 100));
        assert_eq!(table.queries_of(&10), 500);
        table.work();
        let ended = tasks.join_all().await;
        assert_eq!(ended.into_iter().filter(|ok| *ok).count(), 900);
        assert_eq!(table.waiting(), 0);
    });
}
