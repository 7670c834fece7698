//! What goes over the wire, and how often.

use std::time::Duration;

use cache_kit::CacheStrategy::{Fresh, Invalidate, Refresh};
use cache_kit::backend::CacheBackend;
use cache_kit::observability::StoreResult;
use cache_kit::{OperationConfig, SharedFeeder, Source};
use cache_kit_tests::Row;
use cache_kit_tests::servers::Proxy;

use super::{call, scene, service};

#[tokio::test]
async fn what_one_process_stores_another_one_reads() {
    for protocol in ["", "?protocol=resp2", "?protocol=resp3"] {
        let (server, database) = scene();
        let url = format!("{}{protocol}", server.url());
        let (here, there) = (service(&url), service(&url));
        let (outcome, seen) = call(&here, &database, "k", Refresh).await.unwrap();
        assert_eq!(
            (outcome.source(), outcome.store()),
            (Source::Repository, StoreResult::Stored)
        );
        assert_eq!(seen, Some(1));
        let (outcome, seen) = call(&there, &database, "k", Refresh).await.unwrap();
        assert_eq!((outcome.source(), seen), (Source::Cache, Some(1)));
        assert!(outcome.age().unwrap() < Duration::from_secs(60));
        database.set("k", 2);
        call(&there, &database, "k", Invalidate).await.unwrap();
        assert_eq!(call(&here, &database, "k", Fresh).await.unwrap().1, Some(2));
        assert_eq!(database.loads(), 2);
    }
}

#[tokio::test]
async fn a_hit_is_one_command_and_a_miss_three() {
    let (server, database) = scene();
    let proxy = Proxy::in_front_of(server.addr());
    let service = service(&server.url_through(&proxy));
    // Scripts are loaded at their first use, and newer commands are tried once.
    for id in ["first", "second"] {
        database.set(id, 1);
        call(&service, &database, id, Refresh).await.unwrap();
    }

    let sent = || {
        let counts: Vec<_> = proxy.counts().into_iter().collect();
        proxy.reset_counts();
        counts
    };
    sent();
    call(&service, &database, "k", Refresh).await.unwrap();
    // A look-up, a claim, a store.
    let expected = ["EVALSHA", "GET", "SET"].map(|name| (name.to_owned(), 1));
    assert_eq!(sent(), expected);
    for _ in 0..10 {
        let (outcome, _) = call(&service, &database, "k", Refresh).await.unwrap();
        assert!(outcome.is_hit());
    }
    assert_eq!(sent(), [("GET".to_owned(), 10)]);
}

#[tokio::test]
async fn a_time_to_live_is_told_to_the_server_in_milliseconds() {
    let (server, database) = scene();
    let service = service(&server.url());
    let ttl_of = || server.command(&["PTTL", "row:k"]).integer().unwrap();
    let mut feeder = SharedFeeder::<Row>::new("k".to_owned());
    let with = |ttl| OperationConfig::default().with_ttl(ttl);
    service
        .execute_with_config(
            &mut feeder,
            &database,
            Invalidate,
            with(Duration::from_millis(90_500)),
        )
        .await
        .unwrap();
    assert!((80_000..=90_500).contains(&ttl_of()), "{}", ttl_of());
    service
        .execute(&mut feeder, &database, Invalidate)
        .await
        .unwrap();
    assert!(
        (3_590_000..=3_600_000).contains(&ttl_of()),
        "one hour by default: {}",
        ttl_of()
    );
    service
        .execute_with_config(&mut feeder, &database, Invalidate, with(Duration::MAX))
        .await
        .unwrap();
    assert_eq!(ttl_of(), -1, "for ever");
}

#[tokio::test]
async fn many_keys_are_one_command() {
    let (server, database) = scene();
    let service = service(&server.url());
    for n in 0..20 {
        database.set(&n.to_string(), n);
        call(&service, &database, &n.to_string(), Refresh)
            .await
            .unwrap();
    }
    let keys: Vec<String> = (0..30).rev().map(|n| format!("row:{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let now = cache_kit::clock::Clock::system().now();
    let before = server.commandstats().get("mget").copied().unwrap_or(0);
    let found = service.backend().get_many::<Row>(&keys, now).await;
    assert_eq!(server.commandstats().get("mget").copied(), Some(before + 1));
    for (key, found) in keys.iter().zip(found) {
        let expected = key.strip_prefix("row:").unwrap().parse::<u64>().unwrap();
        match found.unwrap() {
            cache_kit::backend::Lookup::Hit { entry, .. } => {
                assert_eq!(entry.value.unwrap().version, expected);
            }
            cache_kit::backend::Lookup::Miss { .. } => assert!(expected >= 20, "{key}"),
        }
    }
}
