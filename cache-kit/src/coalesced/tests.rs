//! What is sent when, and who gets which answer.

mod ends;
mod failures;
mod repository;
mod schedules;

use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::queue::PATIENCE;
use self::repository::{Outcome, Row, Table, all, at_rest, coalesced, futures_poll, load, turns};
use super::*;

/// The id of each row.
fn ids(rows: Vec<Result<Option<Row>>>) -> Vec<u32> {
    let id = |row: Result<Option<Row>>| row.expect("a row").expect("some").id;
    rows.into_iter().map(id).collect()
}

#[tokio::test(start_paused = true)]
async fn a_lone_id_is_loaded_in_its_callers_own_future_and_at_once() {
    let table = Table::on_command();
    let users = coalesced(&table, 64);
    let mut load = Box::pin(users.load(&7));
    let began = Instant::now();
    for _ in 0..2 {
        assert!(futures_poll(&mut load).is_none());
    }
    assert_eq!(table.queries(), [vec![7]]);
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0, "no task");
    table.end(0, Outcome::Rows);
    assert_eq!(
        load.await.map(|row| row.map(|row| row.id)).ok(),
        Some(Some(7))
    );
    assert_eq!(began.elapsed(), Duration::ZERO, "no timer");
    assert_eq!(table.batches(), 0, "`fetch_by_id` and not `fetch_by_ids`");
    assert!(users.queue.is_empty());
}

#[tokio::test]
async fn ids_of_one_turn_are_loaded_together_and_each_caller_gets_its_row() {
    let table = Table::new();
    let users = coalesced(&table, 64);
    let loads = [3, 1, 2].map(|id| load(&users, id));
    assert_eq!(ids(all(loads).await), [3, 1, 2]);
    assert_eq!(table.queries(), [vec![3, 1, 2]]);
    assert!(users.queue.is_empty());
}

#[tokio::test]
async fn an_id_that_is_asked_for_twice_is_sent_once() {
    let table = Table::new();
    let users = coalesced(&table, 64);
    let loads = [3, 1, 3, 3].map(|id| load(&users, id));
    assert_eq!(ids(all(loads).await), [3, 1, 3, 3]);
    let loads = [5, 5].map(|id| load(&users, id));
    assert_eq!(ids(all(loads).await), [5, 5]);
    assert_eq!(table.queries(), [vec![3, 1], vec![5]]);
    assert_eq!(table.batches(), 1, "the lone id by `fetch_by_id`");
}

#[tokio::test(start_paused = true)]
async fn ids_wait_for_the_load_that_is_running() {
    let table = Table::on_command();
    let users = coalesced(&table, 64);
    let mut tasks = JoinSet::new();
    tasks.spawn(load(&users, 0));
    turns().await;
    for id in 1..=5 {
        tasks.spawn(load(&users, id));
        turns().await;
    }
    assert_eq!(table.queries(), [vec![0]]);
    table.end(0, Outcome::Rows);
    turns().await;
    assert_eq!(table.queries(), [vec![0], vec![1, 2, 3, 4, 5]]);
    // While a batch is running, too. The last is alone, and loads for itself.
    tasks.spawn(load(&users, 6));
    turns().await;
    assert_eq!(table.queries().len(), 2);
    table.end(1, Outcome::Rows);
    turns().await;
    assert_eq!(table.queries()[2..], [vec![6]]);
    assert_eq!(table.batches(), 1);
    table.end(2, Outcome::Rows);
    tasks.join_all().await;
    assert!(users.queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn callers_that_ask_for_more_are_sent_together_with_those_that_waited() {
    let table = Table::on_command();
    let users = coalesced(&table, 64);
    let mut tasks = JoinSet::new();
    for id in 0..4 {
        let users = users.clone();
        tasks.spawn(async move {
            users.load(&id).await.expect("a row");
            users.load(&(10 + id)).await
        });
    }
    turns().await;
    tasks.spawn(load(&users, 20));
    turns().await;
    table.end(0, Outcome::Rows);
    turns().await;
    assert_eq!(table.queries().len(), 2, "{:?}", table.queries());
    assert_eq!(table.queries()[1].len(), 5);
    table.end(1, Outcome::Rows);
    tasks.join_all().await;
}

#[tokio::test(start_paused = true)]
async fn a_load_that_hangs_holds_up_others_for_ten_milliseconds_and_then_not_at_all() {
    let table = Table::on_command();
    let users = coalesced(&table, 64);
    let mut tasks = JoinSet::new();
    for id in [1, 2] {
        tasks.spawn(load(&users, id));
    }
    turns().await;
    let began = Instant::now();
    for id in [3, 4] {
        tasks.spawn(load(&users, id));
    }
    table.until_asked(2).await;
    assert_eq!(began.elapsed(), PATIENCE);
    assert_eq!(table.queries(), [vec![1, 2], vec![3, 4]]);
    tokio::time::advance(PATIENCE).await;
    // Two hang by now.
    let began = Instant::now();
    tasks.spawn(load(&users, 5));
    table.until_asked(3).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    for query in 0..3 {
        table.end(query, Outcome::Rows);
    }
    tasks.join_all().await;
    assert!(users.queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn when_a_younger_load_ends_only_the_older_one_is_waited_for() {
    let table = Table::on_command();
    let users = coalesced(&table, 64);
    // Known to be loaded alone.
    users.suspects.note(&100_u32);
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    tasks.spawn(load(&users, 0));
    turns().await;
    tokio::time::advance(PATIENCE / 2).await;
    for id in [100, 1, 2] {
        tasks.spawn(load(&users, id));
    }
    turns().await;
    table.end(1, Outcome::Rows);
    table.until_asked(3).await;
    assert_eq!(table.queries(), [vec![0], vec![100], vec![1, 2]]);
    assert_eq!(began.elapsed(), PATIENCE);
    table.end_all();
    tasks.join_all().await;
}

#[tokio::test(start_paused = true)]
async fn loads_that_begin_later_do_not_hold_up_an_id_any_longer() {
    let table = Table::on_command();
    let users = coalesced(&table, 64);
    users.suspects.note(&100_u32);
    let mut tasks = JoinSet::new();
    tasks.spawn(load(&users, 100));
    turns().await;
    let began = Instant::now();
    tasks.spawn(load(&users, 1));
    tasks.spawn(load(&users, 2));
    turns().await;
    tokio::time::advance(PATIENCE / 2).await;
    // Known to be loaded alone.
    tasks.spawn(load(&users, 100));
    table.until_asked(3).await;
    assert_eq!(table.queries()[1..], [vec![100], vec![1, 2]]);
    assert_eq!(began.elapsed(), PATIENCE);
    table.end_all();
    tasks.join_all().await;
}

#[tokio::test(start_paused = true)]
async fn as_soon_as_max_ids_wait_they_are_sent() {
    let table = Table::on_command();
    let users = coalesced(&table, 4);
    let mut tasks = JoinSet::new();
    tasks.spawn(load(&users, 100));
    turns().await;
    let began = Instant::now();
    for id in 0..10 {
        tasks.spawn(load(&users, id));
    }
    turns().await;
    assert_eq!(
        table.queries(),
        [vec![100], vec![0, 1, 2, 3], vec![4, 5, 6, 7]]
    );
    assert_eq!(began.elapsed(), Duration::ZERO);
    table.until_asked(4).await;
    assert_eq!(table.queries()[3], [8, 9]);
    assert_eq!(began.elapsed(), PATIENCE);
    table.end_all();
    tasks.join_all().await;
}

#[tokio::test(start_paused = true)]
async fn an_id_never_joins_a_query_that_is_running() {
    let table = Table::on_command();
    let users = coalesced(&table, 64);
    let mut tasks = JoinSet::new();
    for id in [1, 2] {
        tasks.spawn(load(&users, id));
    }
    turns().await;
    table.update(1);
    let late = tokio::spawn(load(&users, 1));
    turns().await;
    assert_eq!(table.queries(), [vec![1, 2]]);
    table.end(0, Outcome::Rows);
    for row in tasks.join_all().await {
        assert_eq!(row.expect("a row").expect("some").version, 0);
    }
    turns().await;
    assert_eq!(table.queries()[1..], [vec![1]]);
    table.end(1, Outcome::Rows);
    let row = late.await.expect("no panic").expect("a row").expect("some");
    assert_eq!(row.version, 1);
}

#[test]
fn one_at_a_time_or_outside_of_a_runtime_each_loads_for_itself() {
    let table = Table::new();
    let alone = |max| {
        let users = coalesced(&table, max);
        let loads = [1, 2].map(|id| load(&users, id));
        let rows = loads.map(|mut load| futures_poll(&mut load).expect("at once"));
        assert_eq!(ids(Vec::from(rows)), [1, 2]);
        assert!(users.queue.is_empty());
    };
    alone(64);
    runtime().block_on(async { alone(1) });
    assert_eq!(table.queries().len(), 4);
}

#[test]
fn on_a_runtime_without_a_timer_no_id_waits_for_a_load() {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let table = Table::on_command();
        let users = coalesced(&table, 64);
        let mut tasks = JoinSet::new();
        tasks.spawn(load(&users, 0));
        turns().await;
        for id in [1, 2] {
            tasks.spawn(load(&users, id));
        }
        turns().await;
        assert_eq!(table.queries(), [vec![0], vec![1, 2]]);
        table.end_all();
        tasks.join_all().await;
    });
}

/// A thousand tasks on as many keys: few queries, and each its own row.
fn a_thousand(runtime: &Runtime, rounds: usize) {
    let takes = Duration::from_millis(5);
    let mut counts = Vec::new();
    for round in 0..rounds {
        runtime.block_on(async {
            let table = Table::that_takes(takes);
            let users = coalesced(&table, 64);
            let start = Arc::new(Barrier::new(1_000));
            let mut tasks = JoinSet::new();
            let began = Instant::now();
            for id in 0..1_000 {
                let (load, start) = (load(&users, id), Arc::clone(&start));
                tasks.spawn(async move {
                    start.wait().await;
                    (id, load.await)
                });
            }
            for (id, row) in tasks.join_all().await {
                assert_eq!(row.expect("a row").expect("some").id, id);
            }
            let queries = table.queries();
            // A batch that is not full waits for the one before it. On a busy machine, there is time
            // for more of them.
            let lasted = began.elapsed().as_millis() / takes.as_millis();
            let (asked, most) = (queries.len(), 17 + usize::try_from(lasted).unwrap());
            assert!(
                asked <= most,
                "round {round}: {asked} queries, {most} at most"
            );
            counts.push(asked);
            let mut ids: Vec<u32> = queries.concat();
            ids.sort_unstable();
            assert!(ids.into_iter().eq(0..1_000), "each id once");
            at_rest(&users, &table).await;
        });
    }
    counts.sort_unstable();
    assert!(counts[rounds / 2] <= 20, "{counts:?}");
}

#[test]
fn a_thousand_tasks_on_one_thread_make_few_queries() {
    a_thousand(&runtime(), 20);
}

#[test]
fn a_thousand_tasks_on_many_threads_make_few_queries() {
    for threads in [2, 4] {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(threads).enable_all().build();
        a_thousand(&runtime.expect("a runtime"), 50);
    }
}

/// On one thread, with paused time.
fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build();
    runtime.expect("a runtime")
}
