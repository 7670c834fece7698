//! The tour itself, in small.

use std::future::pending;

use crate::tour::{Plan, run};

const SMALL: Plan = Plan {
    seed: 42,
    reads: 400,
    clients: 4,
    writers: 2,
    updates: 10,
    stampede: 20,
    redis_server: "redis-server",
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_tour_keeps_every_promise() {
    let report = run(&SMALL, &mut Box::pin(pending())).await.unwrap();
    assert!(report.all_kept(), "{report}");
    let text = report.to_string();
    assert_eq!(text.matches("\nok: ").count(), 31, "{text}");
    assert!(text.contains("embedded SQLite"), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_redis_server_the_rest_is_shown_and_the_report_says_what_is_missing() {
    let plan = Plan {
        redis_server: "no-such-redis-server",
        ..SMALL
    };
    let report = run(&plan, &mut Box::pin(pending())).await.unwrap();
    assert!(report.all_kept(), "{report}");
    let text = report.to_string();
    assert_eq!(text.matches("\nok: ").count(), 12, "{text}");
    assert!(
        text.contains("\nleft out: ") && text.contains("redis-server"),
        "{text}"
    );
    assert_eq!(text.matches("\nleft out: ").count(), 2, "{text}");
    assert!(!text.contains("Redis goes away"), "{text}");
    assert!(!text.contains("cluster of three"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tour_that_is_told_to_stop_does() {
    let stopped = run(&SMALL, &mut std::future::ready(())).await;
    let failure = stopped.err().unwrap().to_string();
    assert_eq!(failure, "could not end the tour: it was told to stop");
}
