//! Callers that give up, are not polled, or live on a runtime that stands still: no other caller
//! waits for them, and no work is discarded.

use std::time::{Duration, Instant};

use cache_kit::CacheStrategy::{Fresh, Refresh};
use cache_kit::backend::{CacheBackend, Invalidated, RedisBackend};
use cache_kit::{CacheService, Error, ErrorKind};
use cache_kit_tests::servers::{Command, Proxy, RedisServer, Trick, eventually, eventually_async};
use cache_kit_tests::{Row, Step};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{PATIENCE, Service, call, config, scene, service, service_by_default};

const LIMIT: Duration = Duration::from_secs(20);

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[tokio::test]
async fn a_first_call_that_is_polled_once_holds_nobody() {
    let (server, database) = scene();
    let service = service(&server.url());
    let mut first = Step::new(call(&service, &database, "k", Fresh));
    assert!(first.poll().is_pending());
    let others = async {
        for _ in 0..3 {
            call(&service, &database, "k", Refresh).await.unwrap();
        }
    };
    timeout(LIMIT, others)
        .await
        .expect("they do not wait for it");
    assert!(first.is_running() && service.backend().health().available);
}

#[tokio::test]
async fn a_connection_that_takes_longer_than_its_callers_wait_is_made_once() {
    let (server, database) = scene();
    let proxy = Proxy::in_front_of(server.addr());
    for _ in 0..50 {
        let slow = Trick::DelayAnswer(Duration::from_millis(600));
        proxy.on_next(Command::named("HELLO"), slow);
    }
    let service = service_by_default(&server.url_through(&proxy));
    eventually_async("somebody is answered", LIMIT, || {
        proxy.seen("GET") > 0 || {
            let (service, database) = (service.clone(), database.clone());
            tokio::spawn(async move {
                let call = call(&service, &database, "k", Fresh);
                let _ = timeout(Duration::from_millis(60), call).await;
            });
            false
        }
    })
    .await;
    assert_eq!(proxy.seen("HELLO"), 1);
}

#[tokio::test]
async fn a_black_hole_is_noticed_by_callers_with_less_patience_than_the_deadline() {
    for stop in [false, true] {
        let (server, database) = scene();
        let proxy = Proxy::in_front_of(server.addr());
        let service = service_by_default(&server.url_through(&proxy));
        // Until there is a connection.
        eventually_async("a hit", LIMIT, || {
            proxy.seen("GET") > 1 || {
                let (service, database) = (service.clone(), database.clone());
                tokio::spawn(async move { call(&service, &database, "k", Refresh).await.is_ok() });
                false
            }
        })
        .await;
        match stop {
            true => server.stop(),
            false => proxy.black_hole(),
        }
        let loads = database.loads();
        let mut unanswered = 0;
        for n in 0..40 {
            let id = n.to_string();
            database.set(&id, n);
            let call = call(&service, &database, &id, Refresh);
            if timeout(Duration::from_millis(300), call).await.is_err() {
                unanswered += 1;
            }
        }
        // Two are enough on an idle machine.
        assert!(unanswered < 10, "{unanswered} of 40");
        assert!(database.loads() >= loads + 30 && !service.backend().health().available);
        server.cont();
        proxy.pass();
        eventually_async("it is back", LIMIT, || service.backend().health().available).await;
    }
}

#[tokio::test]
async fn a_storm_of_dropped_calls_does_not_open_the_breaker() {
    let (server, database) = scene();
    let proxy = Proxy::in_front_of(server.addr());
    let config = config(&server.url_through(&proxy));
    let config = config.set(|encoded| {
        encoded
            .with_operation_deadline(PATIENCE)
            .with_breaker_failures(1)
    });
    let service = CacheService::new(RedisBackend::new(config).unwrap());
    call(&service, &database, "k", Refresh).await.unwrap();
    proxy.delay(Duration::from_millis(20));
    let accepted = proxy.accepted();
    for _ in 0..20 {
        let mut calls = JoinSet::new();
        for _ in 0..100 {
            let (service, database) = (service.clone(), database.clone());
            calls.spawn(async move {
                let call = call(&service, &database, "k", Fresh);
                timeout(Duration::from_millis(1), call).await.is_ok()
            });
        }
        while calls.join_next().await.is_some() {}
        assert!(service.backend().health().available);
    }
    assert_eq!(proxy.accepted(), accepted);
    proxy.delay(Duration::ZERO);
    assert!(
        call(&service, &database, "k", Refresh)
            .await
            .unwrap()
            .0
            .is_hit()
    );
}

#[test]
fn a_runtime_that_stands_still_holds_neither_the_queue_nor_the_others() {
    let (server, database) = scene();
    let service = service_by_default(&server.url());
    let (still, runs) = (one_thread(), one_thread());
    runs.block_on(call(&service, &database, "other", Refresh))
        .unwrap();
    server.kill();
    // The first failures happen on this runtime, and so does the task that would send the queue.
    still.block_on(async {
        for _ in 0..6 {
            let done = service.invalidate::<Row>(&"k".to_owned()).await.unwrap();
            assert_eq!(done, Invalidated::Pending);
        }
    });
    server.restart();
    database.set("k", 2);
    runs.block_on(async {
        eventually_async("another runtime takes over", LIMIT, || {
            let (caller, database) = (service.clone(), database.clone());
            tokio::spawn(async move { call(&caller, &database, "k", Refresh).await.is_ok() });
            let health = service.backend().health();
            health.available && health.pending_invalidations == 0
        })
        .await;
        assert_eq!(
            call(&service, &database, "k", Refresh).await.unwrap().1,
            Some(2)
        );
    });
    drop(still);
}

fn clients(server: &RedisServer) -> usize {
    let list = server.command(&["CLIENT", "LIST"]).text().unwrap();
    list.lines()
        .filter(|line| !line.contains("cmd=client|list"))
        .count()
}

#[test]
fn every_live_runtime_has_one_connection_which_ends_with_it() {
    let (server, database) = scene();
    let proxy = Proxy::in_front_of(server.addr());
    let service = service(&server.url_through(&proxy));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (service, database) = (service.clone(), database.clone());
            std::thread::spawn(move || {
                one_thread().block_on(async {
                    for round in 0..200 {
                        let mut calls = JoinSet::new();
                        for _ in 0..if round % 50 == 0 { 40 } else { 1 } {
                            let (service, database) = (service.clone(), database.clone());
                            calls.spawn(async move {
                                call(&service, &database, "k", Refresh).await.unwrap()
                            });
                        }
                        while let Some(ended) = calls.join_next().await {
                            assert_eq!(ended.unwrap().1, Some(1));
                        }
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(proxy.accepted(), 4);
    eventually("the sockets of ended runtimes are closed", LIMIT, || {
        clients(&server) == 0
    });
    drop(service);
}

#[test]
fn a_runtime_without_timer_or_sockets_is_a_clear_error() {
    let (server, database) = scene();
    let now = cache_kit::clock::Clock::system().now();
    for timer in [false, true] {
        let service: Service = service(&server.url());
        let mut builder = Builder::new_current_thread();
        if timer {
            builder.enable_time();
        }
        let runtime = builder.build().unwrap();
        runtime.block_on(async {
            for _ in 0..10 {
                let error = service
                    .backend()
                    .get::<Row>("row:k", now)
                    .await
                    .unwrap_err();
                assert!(
                    matches!(&error, Error::ConfigError(_)),
                    "{timer}: {error:?}"
                );
                assert!(error.to_string().contains("enable_all()"), "{error}");
                let done = service.backend().invalidate::<Row>("row:k").await;
                assert_eq!(done.unwrap_err().kind(), ErrorKind::Config);
            }
        });
        assert!(service.backend().health().available, "the server is well");
        // On a complete runtime it works, and the invalidation is sent.
        one_thread().block_on(async {
            let begun = Instant::now();
            while service.backend().health().pending_invalidations > 0 {
                call(&service, &database, "k", Refresh).await.unwrap();
                assert!(begun.elapsed() < LIMIT);
            }
            call(&service, &database, "k", Refresh).await.unwrap();
            assert!(
                call(&service, &database, "k", Refresh)
                    .await
                    .unwrap()
                    .0
                    .is_hit()
            );
        });
    }
}
