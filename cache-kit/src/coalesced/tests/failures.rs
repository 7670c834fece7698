//! One bad row fails one caller.

use super::repository::{Outcome, Table, all, coalesced, load, refresh, turns};
use std::sync::atomic::Ordering;

use super::*;

fn text(answer: &Result<Option<Row>>) -> String {
    match answer {
        Ok(row) => row.as_ref().map_or("none".into(), |row| row.id.to_string()),
        Err(error) => error.to_string(),
    }
}

fn texts(answers: &[Result<Option<Row>>]) -> Vec<String> {
    answers.iter().map(text).collect()
}

#[tokio::test]
async fn a_batch_that_fails_is_loaded_id_by_id() {
    let table = Table::with_bad(2);
    let users = coalesced(&table, 64);
    let loads = [1, 2, 3].map(|id| load(&users, id));
    let answers = all(loads).await;
    assert_eq!(texts(&answers), ["1", "repository failed: query 2", "3"]);
    assert_eq!(table.queries(), [vec![1, 2, 3], vec![1], vec![2], vec![3]]);
    // What has failed alone is not loaded with others again.
    let loads = [1, 2, 3].map(|id| load(&users, id));
    let answers = all(loads).await;
    assert_eq!(texts(&answers)[1], "repository failed: query 4");
    assert_eq!(table.queries()[4..], [vec![2], vec![1, 3]]);
    assert!(users.queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_a_wrong_number_of_rows_fail_a_batch() {
    for outcome in [Outcome::Panic, Outcome::TooFew, Outcome::Error] {
        let table = Table::on_command();
        let users = coalesced(&table, 64);
        let mut tasks = JoinSet::new();
        for id in [1, 2] {
            tasks.spawn(load(&users, id));
        }
        turns().await;
        table.end(0, outcome);
        table.until_asked(3).await;
        table.end(1, Outcome::Rows);
        table.end(2, Outcome::Panic);
        let mut answers = texts(&tasks.join_all().await);
        answers.sort();
        assert_eq!(
            answers,
            ["1", "repository panicked: query 2"],
            "{outcome:?}"
        );
        assert!(users.queue.is_empty() && table.alive() == 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lone_id_that_fails_has_one_try_and_its_own_error() {
    let table = Table::on_command();
    let users = coalesced(&table, 64);
    for (query, outcome, error) in [
        (0, Outcome::Error, "repository failed: query 0"),
        (1, Outcome::Panic, "repository panicked: query 1"),
    ] {
        let task = tokio::spawn(load(&users, 1));
        turns().await;
        table.end(query, outcome);
        assert_eq!(text(&task.await.expect("caught")), error);
    }
    // Two callers of one id are a lone id, too.
    let mut tasks = JoinSet::new();
    for _ in 0..2 {
        tasks.spawn(load(&users, 1));
    }
    turns().await;
    table.end(2, Outcome::Error);
    let answers = texts(&tasks.join_all().await);
    assert_eq!(answers, ["repository failed: query 2"; 2]);
    assert_eq!(table.queries().len(), 3);
}

#[tokio::test]
async fn a_refresh_fails_with_its_batch_and_is_loaded_alone_the_next_time() {
    let table = Table::with_bad(2);
    let users = coalesced(&table, 64);
    let refreshes = |users: &Coalesced<Row>| [1, 2, 3].map(|id| refresh(users, id));
    let answers = all(refreshes(&users)).await;
    assert_eq!(texts(&answers), ["repository failed: query 0"; 3]);
    assert_eq!(table.queries(), [vec![1, 2, 3]], "one try");
    let answers = all(refreshes(&users)).await;
    assert_eq!(texts(&answers), ["1", "repository failed: query 2", "3"]);
    assert_eq!(table.queries()[1..], [vec![1], vec![2], vec![3]]);
    // The bad one stays alone; its neighbours share their query again.
    let answers = all(refreshes(&users)).await;
    assert_eq!(texts(&answers), ["1", "repository failed: query 4", "3"]);
    assert_eq!(table.queries()[4..], [vec![2], vec![1, 3]]);
}

#[tokio::test(start_paused = true)]
async fn loads_and_refreshes_share_a_batch_and_fail_each_in_its_way() {
    let table = Table::on_command();
    let users = coalesced(&table, 64);
    let background = tokio::spawn(refresh(&users, 1));
    let waiting = tokio::spawn(load(&users, 2));
    turns().await;
    table.end(0, Outcome::TooFew);
    let refused = text(&background.await.expect("no panic"));
    assert_eq!(
        refused,
        "repository failed: fetch_by_ids gave 1 rows for 2 ids of `row`: it must give one for \
         each, see `repository::in_order`"
    );
    turns().await;
    table.end_all();
    assert_eq!(text(&waiting.await.expect("no panic")), "2");
    assert_eq!(table.queries(), [vec![1, 2], vec![2]]);
}

mod sore {
    //! Rows whose code panics.

    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde::{Deserialize, Serialize};

    use super::super::*;
    use crate::entity::CacheEntity;
    use crate::repository::from_fn;

    /// Panics when a row of an odd id is cloned.
    #[derive(Debug, Serialize, Deserialize)]
    pub(super) struct Sore(u32);

    impl Clone for Sore {
        fn clone(&self) -> Self {
            assert!(self.0.is_multiple_of(2), "no clone of {}", self.0);
            Self(self.0)
        }
    }

    impl CacheEntity for Sore {
        type Key = u32;

        fn cache_key(&self) -> u32 {
            self.0
        }

        fn cache_prefix() -> &'static str {
            "sore"
        }
    }

    /// With a count of the loads of single rows.
    pub(super) fn sores() -> (Coalesced<Sore>, Arc<AtomicUsize>) {
        let loads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&loads);
        let load = move |id: &u32| {
            counted.fetch_add(1, Ordering::AcqRel);
            std::future::ready(Ok(Some(Sore(*id))))
        };
        let max = NonZeroUsize::new(64).expect("not zero");
        (Coalesced::new(Arc::new(from_fn(load)), max), loads)
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_cloned_concerns_only_the_caller_who_needs_the_clone() {
    let (sores, loads) = sore::sores();
    let mut tasks = JoinSet::new();
    for id in [1, 2, 1, 2, 3] {
        let sores = sores.clone();
        tasks.spawn(async move { (id, sores.load(&id).await) });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.len(), 5);
    for (id, row) in answers {
        assert_eq!(row.expect("a row").expect("some").cache_key(), id);
    }
    // The default `fetch_by_ids` has loaded three.
    assert_eq!(loads.load(Ordering::Acquire), 3 + 1);
    assert!(sores.queue.is_empty());
}
