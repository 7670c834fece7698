//! Batches: few round trips, whatever their size.

use std::time::Duration;

use cache_kit::CacheStrategy::Refresh;
use cache_kit::backend::{ByteStore, RedisStore};
use cache_kit::observability::StoreResult;
use cache_kit::{Outcome, SharedFeeder};
use cache_kit_tests::servers::{RedisServer, Server, Trick, eventually_async};
use cache_kit_tests::{Gated, Row};

use super::{Service, scene, service};

/// Reads all rows in one call.
async fn read(service: &Service, database: &Gated, ids: &[String]) -> Vec<(Outcome, Option<u64>)> {
    let mut feeders: Vec<_> = ids
        .iter()
        .map(|id| SharedFeeder::<Row>::new(id.clone()))
        .collect();
    let outcomes = service.execute_many(&mut feeders, database, Refresh).await;
    let version = |feeder: SharedFeeder<Row>| feeder.entity.map(|row| row.version);
    let versions = feeders.into_iter().map(version);
    outcomes.unwrap().into_iter().zip(versions).collect()
}

/// While the first answer of a pass is delayed, all commands of the pass are sent.
#[tokio::test]
async fn a_thousand_missing_keys_cost_three_round_trips() {
    let (server, database) = scene();
    let proxy = server.proxy();
    let service = service(&server.url_through(&proxy));
    // Loads the scripts, and finds out which commands the server knows.
    read(&service, &database, &["k", "absent"].map(str::to_owned)).await;

    let ids: Vec<String> = (0..1_000).map(|n| format!("n{n}")).collect();
    for id in &ids {
        database.set(id, 7);
    }
    let look_ups = ids.len().div_ceil(RedisStore::MAX_KEYS_PER_COMMAND);
    proxy.reset_counts();
    let look_up = proxy.on_next(|command| command.is("MGET"), Trick::HoldAnswer);
    let leases = proxy.on_next(RedisServer::COMMANDS.claim.1, Trick::HoldAnswer);
    let stores = proxy.on_next(RedisServer::COMMANDS.swap.1, Trick::HoldAnswer);
    let reader = {
        let (service, database) = (service.clone(), database.clone());
        tokio::spawn(async move { read(&service, &database, &ids).await })
    };
    for (pass, command, seen) in [
        (look_up, "MGET", look_ups),
        (leases, "SET", 1_000),
        (stores, "EVALSHA", 1_000),
    ] {
        pass.sprung().await;
        let all = || proxy.seen(command) == seen;
        eventually_async("all of them are sent", Duration::from_secs(10), all).await;
        pass.release();
    }
    for (outcome, seen) in reader.await.unwrap() {
        assert_eq!((outcome.store(), seen), (StoreResult::Stored, Some(7)));
    }
    assert_eq!(database.loads(), 2);
    let counts: Vec<_> = proxy.counts().into_iter().collect();
    let expected = [("EVALSHA", 1_000), ("MGET", look_ups), ("SET", 1_000)];
    assert_eq!(
        counts,
        expected.map(|(name, count)| (name.to_owned(), count))
    );
}

#[tokio::test]
async fn duplicates_and_holes_are_one_look_up() {
    let (server, database) = scene();
    let proxy = server.proxy();
    let here = service(&server.url());
    let there = service(&server.url_through(&proxy));
    read(&here, &database, &["k".to_owned()]).await;
    let ids = ["a", "k", "absent", "a", "k"].map(str::to_owned);
    read(&there, &database, &ids).await;
    assert_eq!((proxy.seen("MGET"), proxy.seen("GET")), (1, 0));
}
