//! Callers that give up, are not polled, or live on a runtime that stands still: no other caller
//! waits for them, and no work is discarded.

use std::time::{Duration, Instant};

use cache_kit::CacheStrategy::{Fresh, Refresh};
use cache_kit::backend::{CacheBackend, Invalidated};
use cache_kit::clock::Clock;
use cache_kit::{CacheService, Error, ErrorKind};
use cache_kit_tests::calls::{
    PATIENCE, call, is_hit, scene, serves_again, service, service_by_default, spawn,
};
use cache_kit_tests::servers::{Server, Trick, eventually_async};
use cache_kit_tests::{Row, Step};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::timeout;

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

pub async fn a_first_call_that_is_polled_once_holds_no_other<S: Server>() {
    let (server, database) = scene::<S>();
    database.set("other", 1);
    let service = service::<S>(&server.url());
    for id in ["k", "other"] {
        let mut first = Step::new(call(&service, &database, "k", Fresh));
        assert!(first.poll().is_pending());
        let others = async {
            for _ in 0..3 {
                call(&service, &database, id, Refresh).await.unwrap();
            }
            assert!(is_hit(&service, &database, id).await);
        };
        let others = timeout(PATIENCE, others).await;
        others.expect("they do not wait for it");
        assert!(first.is_running() && S::health(&service).available);
    }
}

/// Its callers go away in the meantime.
pub async fn a_connection_that_takes_longer_than_its_callers_wait_is_made_once<S: Server>() {
    let (server, database) = scene::<S>();
    let proxy = server.proxy();
    for _ in 0..50 {
        let slow = Trick::DelayAnswer(Duration::from_millis(600));
        proxy.on_next(S::COMMANDS.greeting.1, slow);
    }
    let asked = proxy.on_next(S::COMMANDS.get.1, Trick::DelayAnswer(Duration::ZERO));
    let service = service_by_default::<S>(&server.url_through(&proxy));
    eventually_async("a caller is answered", PATIENCE, || {
        asked.has_sprung() || {
            let (service, database) = (service.clone(), database.clone());
            tokio::spawn(async move {
                let call = call(&service, &database, "k", Fresh);
                let _ = timeout(Duration::from_millis(60), call).await;
            });
            false
        }
    })
    .await;
    assert_eq!(proxy.accepted(), 1);
}

/// Longer than a command may take. Its first callers get the row from the repository.
pub async fn a_connection_that_takes_longer_than_a_deadline_serves_the_next_call<S: Server>() {
    let (server, database) = scene::<S>();
    let proxy = server.proxy();
    let slow = Trick::DelayAnswer(Duration::from_millis(700));
    proxy.on_next(S::COMMANDS.greeting.1, slow);
    let service = service_by_default::<S>(&server.url_through(&proxy));
    serves_again::<S>(&service, &database, "k", 1).await;
    assert_eq!(proxy.accepted(), 1);
}

pub async fn a_black_hole_is_noticed_by_callers_with_less_patience_than_the_deadline<S: Server>() {
    for stop in [false, true] {
        let (server, database) = scene::<S>();
        let proxy = server.proxy();
        let service = service_by_default::<S>(&server.url_through(&proxy));
        serves_again::<S>(&service, &database, "k", 1).await;
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
        assert!(database.loads() >= loads + 30 && !S::health(&service).available);
        server.cont();
        proxy.pass();
        eventually_async("it is back", PATIENCE, || S::health(&service).available).await;
        serves_again::<S>(&service, &database, "k", 1).await;
    }
}

pub async fn a_storm_of_dropped_calls_does_not_open_the_breaker<S: Server>() {
    let (server, database) = scene::<S>();
    let proxy = server.proxy();
    let backend = S::patient_backend(&server.url_through(&proxy), |encoded| {
        encoded.with_breaker_failures(1)
    });
    let service = CacheService::new(backend.unwrap());
    call(&service, &database, "k", Refresh).await.unwrap();
    proxy.delay(Duration::from_millis(20));
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
        assert!(S::health(&service).available);
    }
    assert!(proxy.accepted() <= S::CONNECTIONS, "{}", proxy.accepted());
    proxy.delay(Duration::ZERO);
    assert!(is_hit(&service, &database, "k").await);
}

pub fn a_runtime_that_stands_still_holds_neither_the_queue_nor_the_others<S: Server>() {
    let (server, database) = scene::<S>();
    let service = service_by_default::<S>(&server.url());
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
        eventually_async("another runtime takes over", PATIENCE, || {
            drop(spawn(&service, &database, "k", Refresh));
            let health = S::health(&service);
            health.available && health.pending_invalidations == 0
        })
        .await;
        let (_, seen) = call(&service, &database, "k", Refresh).await.unwrap();
        assert_eq!(seen, Some(2));
    });
    drop(still);
}

pub fn a_runtime_that_stands_still_while_it_connects_holds_no_other<S: Server>() {
    let (server, database) = scene::<S>();
    let service = service::<S>(&server.url());
    let (still, runs) = (one_thread(), one_thread());
    still.block_on(async {
        drop(spawn(&service, &database, "k", Refresh));
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    });
    database.set("other", 1);
    runs.block_on(async {
        let call = timeout(PATIENCE, call(&service, &database, "other", Refresh)).await;
        let (outcome, _) = call.expect("it does not wait").unwrap();
        assert!(!outcome.degraded().any(), "{outcome:?}");
        assert!(is_hit(&service, &database, "other").await);
    });
    drop(still);
}

pub fn one_backend_serves_one_runtime_after_another<S: Server>() {
    let (server, database) = scene::<S>();
    let service = service::<S>(&server.url());
    for round in 0..3 {
        let (outcome, seen) = one_thread()
            .block_on(call(&service, &database, "k", Refresh))
            .unwrap();
        assert_eq!((outcome.is_hit(), seen), (round > 0, Some(1)));
        assert!(!outcome.degraded().any());
    }
}

pub fn a_runtime_without_timer_or_sockets_is_a_clear_error<S: Server>() {
    let (server, database) = scene::<S>();
    let now = Clock::system().now();
    for timer in [false, true] {
        let service = service::<S>(&server.url());
        let mut builder = Builder::new_current_thread();
        if timer {
            builder.enable_time();
        }
        let runtime = builder.build().unwrap();
        runtime.block_on(async {
            for _ in 0..10 {
                let found = service.backend().get::<Row>("row:k", now).await;
                let error = found.unwrap_err();
                assert!(
                    matches!(&error, Error::ConfigError(_)),
                    "{timer}: {error:?}"
                );
                assert!(error.to_string().contains("enable_all"), "{error}");
                let done = service.backend().invalidate::<Row>("row:k").await;
                assert_eq!(done.unwrap_err().kind(), ErrorKind::Config);
            }
        });
        assert!(S::health(&service).available, "the server is well");
        // On a complete runtime it works, and the invalidation is sent.
        one_thread().block_on(async {
            let begun = Instant::now();
            while S::health(&service).pending_invalidations > 0 {
                call(&service, &database, "k", Refresh).await.unwrap();
                assert!(begun.elapsed() < PATIENCE);
            }
            call(&service, &database, "k", Refresh).await.unwrap();
            assert!(is_hit(&service, &database, "k").await);
        });
    }
}
