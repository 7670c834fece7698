//! The tour itself, in small.

use crate::tour::{Plan, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_tour_keeps_every_promise() {
    let plan = Plan {
        seed: 42,
        reads: 400,
        clients: 4,
        writers: 2,
        updates: 10,
        stampede: 20,
    };
    let report = run(&plan).await.unwrap();
    assert!(report.all_kept(), "{report}");
    let text = report.to_string();
    assert_eq!(text.matches("\nok: ").count(), 12, "{text}");
    assert!(text.contains("embedded SQLite"), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}
