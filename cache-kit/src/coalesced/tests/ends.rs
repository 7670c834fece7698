//! Callers that go away, and runtimes that end or stand still.

use std::sync::mpsc;
use std::task::{Context, Waker};
use std::thread;

use super::repository::{Loading, Outcome, Table, coalesced, futures_poll, load, turns};
use super::*;

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_takes_its_id_with_it() {
    let table = Table::on_command();
    let users = coalesced(&table, 64);
    let running = tokio::spawn(load(&users, 0));
    turns().await;
    let mut tasks: Vec<_> = (1..=3).map(|id| tokio::spawn(load(&users, id))).collect();
    turns().await;
    tasks.remove(1).abort();
    turns().await;
    table.end(0, Outcome::Rows);
    turns().await;
    assert_eq!(table.queries()[1..], [vec![1, 3]]);
    table.end_all();
    for task in tasks.into_iter().chain([running]) {
        assert!(task.await.expect("no panic").is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_query_ends_when_all_of_its_callers_have_gone() {
    let table = Table::on_command();
    let users = coalesced(&table, 64);
    let mut loads = [1, 2, 1].map(|id| Some(load(&users, id)));
    for load in loads.iter_mut().flatten() {
        assert!(futures_poll(load).is_none());
    }
    turns().await;
    assert_eq!((table.queries(), table.alive()), (vec![vec![1, 2]], 1));
    for place in [1, 0, 2] {
        assert_eq!(table.alive(), 1);
        loads[place] = None;
        turns().await;
    }
    assert_eq!(table.alive(), 0);
    assert!(users.queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_first_caller_may_go_or_not_be_polled_without_holding_up_the_others() {
    for goes in [true, false] {
        let table = Table::new();
        let users = coalesced(&table, 64);
        let mut loads: Vec<Loading> = (1..=3).map(|id| load(&users, id)).collect();
        for load in &mut loads {
            assert!(futures_poll(load).is_none());
        }
        let others = loads.split_off(1);
        let mut first = loads.pop();
        if goes {
            first = None;
        }
        for other in others {
            assert!(other.await.is_ok());
        }
        let ids = if goes { vec![2, 3] } else { vec![1, 2, 3] };
        assert_eq!(table.queries(), [ids]);
        drop(first);
        assert!(users.queue.is_empty());
    }
}

/// How often a load is polled until it ends, if all goes well, at most.
const POLLS: usize = 8;

#[tokio::test(start_paused = true)]
async fn a_caller_may_be_dropped_at_every_poll() {
    for fails in [false, true] {
        for dropped in 0..4 {
            for polls in 0..POLLS {
                let table = match fails {
                    true => Table::with_bad(2),
                    false => Table::that_takes(Duration::from_millis(1)),
                };
                let users = coalesced(&table, 3);
                let mut loads: Vec<Loading> = (0..4).map(|id| load(&users, id)).collect();
                let mut leaving = Some(loads.remove(dropped));
                let staying: Vec<_> = loads.into_iter().map(tokio::spawn).collect();
                for _ in 0..polls {
                    let ended = leaving.as_mut().and_then(futures_poll);
                    if ended.is_some() {
                        leaving = None;
                    }
                    tokio::task::yield_now().await;
                }
                drop(leaving);
                for task in staying {
                    let row = task.await.expect("no panic");
                    assert!(row.is_ok() || fails, "{dropped} after {polls} polls");
                }
                turns().await;
                assert!(users.queue.is_empty() && table.alive() == 0);
            }
        }
    }
}

/// Polls `load` until it ends, on no runtime; fails if it needs one that has gone.
fn ends(mut load: Loading) -> bool {
    let (sender, woken) = mpsc::channel();
    struct Send(std::sync::Mutex<mpsc::Sender<()>>);
    impl std::task::Wake for Send {
        fn wake(self: Arc<Self>) {
            let _ = self.0.lock().expect("no panic").send(());
        }
    }
    let waker = Waker::from(Arc::new(Send(std::sync::Mutex::new(sender))));
    for _ in 0..100 {
        if load
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            return true;
        }
        if woken.recv_timeout(Duration::from_secs(30)).is_err() {
            return false;
        }
    }
    false
}

#[test]
fn nothing_hangs_when_a_runtime_is_shut_down() {
    // With ids that wait for the first turn, behind a load, or in a query that is running.
    for stage in 0..3 {
        let table = Table::on_command();
        let users = coalesced(&table, 64);
        let runtime = runtime();
        let mut loads: Vec<Loading> = (0..3).map(|id| load(&users, id)).collect();
        {
            let _entered = runtime.enter();
            if stage == 1 {
                let mut running = load(&users, 9);
                assert!(futures_poll(&mut running).is_none());
                assert!(futures_poll(&mut running).is_none());
                loads.push(running);
            }
            for load in &mut loads {
                assert!(futures_poll(load).is_none());
            }
        }
        if stage > 0 {
            runtime.block_on(turns());
        }
        assert_eq!(table.queries().len(), [0, 1, 1][stage], "stage {stage}");
        drop(runtime);
        table.end_all();
        for load in loads {
            assert!(ends(load), "stage {stage}");
        }
        assert!(users.queue.is_empty() && table.alive() == 0);
    }
}

#[test]
fn on_a_runtime_that_is_shut_down_each_loads_for_itself() {
    let table = Table::new();
    let users = coalesced(&table, 64);
    let ended = runtime();
    let handle = ended.handle().clone();
    drop(ended);
    let _entered = handle.enter();
    let mut loads: Vec<Loading> = (0..3).map(|id| load(&users, id)).collect();
    loads.retain_mut(|load| futures_poll(load).is_none());
    assert_eq!(
        table.queries(),
        [vec![1]],
        "its task was dropped as it was spawned"
    );
    assert!(loads.into_iter().all(ends));
    assert_eq!(table.queries().len(), 3);
    assert!(users.queue.is_empty());
}

#[test]
fn a_runtime_that_stands_still_holds_up_no_other() {
    let table = Table::new();
    let users = coalesced(&table, 64);
    let still = runtime();
    let mut loads: Vec<Loading> = (0..3).map(|id| load(&users, id)).collect();
    {
        let _entered = still.enter();
        for load in &mut loads {
            assert!(futures_poll(load).is_none());
        }
    }
    let theirs = users.clone();
    let other = thread::spawn(move || {
        runtime().block_on(async move {
            let loads = [3, 4].map(|id| load(&theirs, id));
            super::repository::all(loads).await.len()
        })
    });
    assert_eq!(other.join().expect("no panic"), 2);
    assert_eq!(table.queries(), [vec![3, 4]]);
    still.block_on(async {
        for load in loads {
            assert!(load.await.is_ok());
        }
    });
    assert_eq!(table.queries()[1..], [vec![0, 1, 2]]);
    assert!(users.queue.is_empty());
}
