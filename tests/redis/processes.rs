//! Real processes that share a server.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cache_kit::CacheStrategy::Refresh;
use cache_kit::Source;
use cache_kit::observability::StoreResult;
use cache_kit_tests::Gated;
use cache_kit_tests::servers::{RedisServer, eventually};

use super::{call, service_by_default};

/// A worker process; killed if it still runs at the end.
struct Worker(Child);

impl Worker {
    fn start(server: &RedisServer, tasks: u32) -> Self {
        let worker = Command::new(env!("CARGO_BIN_EXE_worker"))
            .args([server.port().to_string(), tasks.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .expect("the worker starts");
        Self(worker)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn count(server: &RedisServer, key: &str) -> u64 {
    let text = server.command(&["GET", key]).text();
    text.and_then(|count| count.parse().ok()).unwrap_or(0)
}

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_thousand_tasks_in_each_of_two_processes_make_one_load() {
    let server = RedisServer::start();
    let mut workers = [Worker::start(&server, 1_000), Worker::start(&server, 1_000)];
    eventually("both have asked", LIMIT, || {
        count(&server, "asked") == 2 && count(&server, "loads") >= 1
    });
    assert!(server.command(&["SET", "gate", "open"]).is_ok());
    for worker in &mut workers {
        assert!(worker.0.wait().unwrap().success());
    }
    assert_eq!(count(&server, "loads"), 1);
}

#[tokio::test]
async fn a_process_that_is_killed_while_it_loads_costs_the_others_a_wait() {
    let server = RedisServer::start();
    let worker = Worker::start(&server, 10);
    eventually("it loads", LIMIT, || count(&server, "loads") == 1);
    drop(worker);
    assert_eq!(
        server.command(&["EXISTS", "row:hot"]).integer(),
        Some(1),
        "its lease is left"
    );

    let database = Gated::open();
    database.set("hot", 8);
    // It waits for the lease of the dead process for the default time.
    let service = service_by_default(&server.url());
    let (outcome, seen) = call(&service, &database, "hot", Refresh).await.unwrap();
    assert_eq!((outcome.source(), seen), (Source::Repository, Some(8)));
    assert_eq!(outcome.store(), StoreResult::Stored);
    assert!(
        call(&service, &database, "hot", Refresh)
            .await
            .unwrap()
            .0
            .is_hit()
    );
}
