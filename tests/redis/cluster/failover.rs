//! Nodes that die, stand still and come back.

use std::time::{Duration, Instant};

use cache_kit::CacheStrategy::Refresh;
use cache_kit::Source;
use cache_kit::backend::{Invalidated, RedisBackend, RedisConfig};
use cache_kit_tests::calls::{call, is_hit};
use cache_kit_tests::servers::{RedisCluster, RedisServer};
use cache_kit_tests::{Gated, Row};

use super::{LIMIT, Service, database, ids, kept_by, read, service, settles};

/// The other nodes' keys are served as if nothing had happened, alone and in batches.
async fn never_notice(service: &Service, database: &Gated, others: &[String]) {
    for id in others.iter().take(20) {
        let (outcome, seen) = call(service, database, id, Refresh).await.unwrap();
        assert!(outcome.is_hit() && !outcome.degraded().any(), "{outcome:?}");
        assert_eq!(seen, Some(1));
    }
    let found = read(service, database, others).await;
    assert!(found.iter().all(|(hit, _)| *hit));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_costs_its_own_keys_only_until_its_replica_takes_over() {
    let cluster = RedisCluster::start();
    let service = service(&cluster);
    let ids = ids(150);
    let database = database(&ids);
    settles(&service, &database, &ids, 1).await;
    let (own, others) = (
        kept_by(&cluster, &ids, 0),
        [kept_by(&cluster, &ids, 1), kept_by(&cluster, &ids, 2)].concat(),
    );

    cluster.primaries()[0].kill();
    // Updated while its node is away.
    let late = &own[0];
    database.set(late, 2);
    let done = service.invalidate::<Row>(late).await.unwrap();
    assert_eq!(done, Invalidated::Pending);
    for id in own.iter().skip(1).take(10) {
        let (outcome, seen) = call(&service, &database, id, Refresh).await.unwrap();
        assert_eq!(seen, Some(1));
        assert!(outcome.degraded().any(), "{outcome:?}");
    }
    let (_, seen) = call(&service, &database, late, Refresh).await.unwrap();
    assert_eq!(seen, Some(2), "nothing is served before its invalidation");
    never_notice(&service, &database, &others).await;
    let health = service.backend().health();
    assert_eq!(health.pending_invalidations, 1);
    let of_dead = health
        .nodes
        .iter()
        .find(|node| node.pending_invalidations == 1);
    let dead = cluster.primaries()[0].addr().to_string();
    assert_eq!(of_dead.map(|node| &node.name), Some(&dead));

    cluster.wait_until_promoted(cluster.replica_of(0));
    settles(&service, &database, &own[1..], 1).await;
    settles(&service, &database, &own[..1], 2).await;
    let there = super::service(&cluster);
    let (_, seen) = call(&there, &database, late, Refresh).await.unwrap();
    assert_eq!(
        seen,
        Some(2),
        "the invalidation has reached the new primary"
    );
    never_notice(&service, &database, &others).await;

    // The old primary is not missed.
    let begun = Instant::now();
    while !service.backend().health().available {
        assert!(begun.elapsed() < LIMIT, "{:?}", service.backend().health());
        tokio::task::yield_now().await;
    }
    let health = service.backend().health();
    assert!(
        health
            .nodes
            .iter()
            .all(|node| node.name != dead || node.last_error.is_none())
    );

    // It comes back as a replica, and then as the primary again.
    cluster.primaries()[0].restart();
    cluster.wait_until_whole();
    cluster.fail_over_to(&cluster.primaries()[0]);
    settles(&service, &database, &own[1..], 1).await;
}

/// What Redis itself loses: an invalidation that the primary has acknowledged, and that has not
/// reached its replica when the primary dies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_loses_at_most_what_was_not_replicated() {
    let cluster = RedisCluster::start();
    let service = service(&cluster);
    let all = ids(300);
    let database = database(&all);
    settles(&service, &database, &all, 1).await;
    let own = kept_by(&cluster, &all, 0);
    let (early, late) = own.split_at(own.len() / 2);
    let primary = &cluster.primaries()[0];
    for id in early {
        database.set(id, 2);
        service.invalidate::<Row>(id).await.unwrap();
    }
    let reply = primary.command(&["INFO", "replication"]).text().unwrap();
    let offset = |name: &str| {
        let line = reply.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    let written = offset("master_repl_offset:");
    cache_kit_tests::servers::eventually("the replica has seen them", LIMIT, || {
        let reply = cluster.replica_of(0).command(&["INFO", "replication"]);
        let reply = reply.text().unwrap();
        let seen = reply
            .lines()
            .find_map(|line| line.strip_prefix("slave_repl_offset:"));
        seen.unwrap().trim().parse::<u64>().unwrap() >= written
    });
    for id in late {
        database.set(id, 2);
        service.invalidate::<Row>(id).await.unwrap();
    }
    primary.kill();
    cluster.wait_until_promoted(cluster.replica_of(0));

    let there = super::service(&cluster);
    for id in early {
        let (_, seen) = call(&there, &database, id, Refresh).await.unwrap();
        assert_eq!(seen, Some(2), "{id} had been replicated");
    }
    let mut lost = 0;
    for id in late {
        let (_, seen) = call(&there, &database, id, Refresh).await.unwrap();
        lost += usize::from(seen != Some(2));
    }
    println!(
        "{lost} of {} invalidations were lost with the primary",
        late.len()
    );
    // Another invalidation mends it.
    for id in late {
        there.invalidate::<Row>(id).await.unwrap();
    }
    settles(&service, &database, &own, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stands_still_delays_its_own_keys_only() {
    let cluster = RedisCluster::with(3, 0, &RedisServer::options());
    let service = service(&cluster);
    let ids = ids(150);
    let database = database(&ids);
    settles(&service, &database, &ids, 1).await;
    let own = kept_by(&cluster, &ids, 1);
    let others = [kept_by(&cluster, &ids, 0), kept_by(&cluster, &ids, 2)].concat();

    cluster.primaries()[1].stop();
    // A batch over all nodes: the keys of the others are hits.
    let found = read(&service, &database, &ids).await;
    for (id, (hit, seen)) in ids.iter().zip(found) {
        assert_eq!((hit, seen), (!own.contains(id), Some(1)), "{id}");
    }
    never_notice(&service, &database, &others).await;
    let begun = Instant::now();
    while service.backend().health().available {
        call(&service, &database, &own[0], Refresh).await.unwrap();
        assert!(begun.elapsed() < LIMIT, "its breaker opens");
    }
    let health = service.backend().health();
    let closed = health.nodes.iter().filter(|node| node.available);
    assert_eq!(closed.count(), 2, "{health:?}");
    never_notice(&service, &database, &others).await;
    cluster.primaries()[1].cont();
    settles(&service, &database, &ids, 1).await;
}

/// A primary that stands still closes no connection and answers nothing: every command to it is
/// dropped at its deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_stands_still_is_left_for_its_replica() {
    let cluster = RedisCluster::start();
    let config = RedisConfig::from_url(&cluster.url()).unwrap();
    // So short that connecting never fails by itself.
    let short = Duration::from_millis(40);
    let config = config.set(|encoded| encoded.with_operation_deadline(short));
    let service = Service::new(RedisBackend::new(config).unwrap());
    let ids = ids(60);
    let database = database(&ids);
    settles(&service, &database, &ids, 1).await;
    let own = kept_by(&cluster, &ids, 0);
    cluster.primaries()[0].stop();
    for id in &own {
        database.set(id, 2);
        service.invalidate::<Row>(id).await.unwrap();
    }
    cluster.wait_until_promoted(cluster.replica_of(0));
    settles(&service, &database, &own, 2).await;
    cluster.primaries()[0].cont();
    settles(&service, &database, &own, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_the_repository_answers() {
    let cluster = RedisCluster::with(3, 0, &RedisServer::options());
    let service = service(&cluster);
    let ids = ids(60);
    let database = database(&ids);
    settles(&service, &database, &ids, 1).await;
    for node in &cluster.primaries()[1..] {
        node.kill();
    }
    cluster.notice_failures();
    cache_kit_tests::servers::eventually("the cluster is down", LIMIT, || {
        let info = cluster.primaries()[0].command(&["CLUSTER", "INFO"]);
        info.text().unwrap().contains("cluster_state:fail")
    });
    for _ in 0..3 {
        for id in &ids {
            // Never an error: the repository is up.
            let (_, seen) = call(&service, &database, id, Refresh).await.unwrap();
            assert_eq!(seen, Some(1));
        }
    }
    for id in &ids {
        database.set(id, 2);
        service.invalidate::<Row>(id).await.unwrap();
    }
    for node in &cluster.primaries()[1..] {
        node.restart();
    }
    cluster.wait_until_whole();
    settles(&service, &database, &ids, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_away_and_back() {
    let cluster = RedisCluster::with(3, 0, &RedisServer::options());
    let service = service(&cluster);
    let ids = ids(60);
    let database = database(&ids);
    settles(&service, &database, &ids, 1).await;
    cluster.nodes().iter().for_each(RedisServer::kill);
    for id in &ids {
        let (outcome, seen) = call(&service, &database, id, Refresh).await.unwrap();
        assert_eq!((outcome.source(), seen), (Source::Repository, Some(1)));
    }
    for id in &ids {
        database.set(id, 2);
        let done = service.invalidate::<Row>(id).await.unwrap();
        assert_eq!(done, Invalidated::Pending);
    }
    let found = read(&service, &database, &ids).await;
    assert!(found.iter().all(|found| *found == (false, Some(2))));
    cluster.nodes().iter().for_each(RedisServer::restart);
    cluster.wait_until_whole();
    settles(&service, &database, &ids, 2).await;
    let begun = Instant::now();
    while service.backend().health().pending_invalidations > 0 {
        assert!(begun.elapsed() < LIMIT, "{:?}", service.backend().health());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_cluster_that_is_down_at_the_start_is_found_later() {
    let cluster = RedisCluster::with(3, 0, &RedisServer::options());
    cluster.nodes().iter().for_each(RedisServer::kill);
    let service = service(&cluster);
    let ids = ids(1);
    let database = database(&ids);
    for _ in 0..10 {
        let (outcome, _) = call(&service, &database, "n0", Refresh).await.unwrap();
        assert!(outcome.degraded().any());
    }
    let health = service.backend().health();
    assert!(!health.available, "{health:?}");
    cluster.nodes().iter().for_each(RedisServer::restart);
    cluster.wait_until_whole();
    settles(&service, &database, &ids, 1).await;
}

#[tokio::test]
async fn killed_connections_cost_no_hit() {
    let cluster = RedisCluster::with(3, 0, &RedisServer::options());
    let service = service(&cluster);
    let ids = ids(30);
    let database = database(&ids);
    settles(&service, &database, &ids, 1).await;
    for node in cluster.nodes() {
        node.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    }
    for id in &ids {
        assert!(is_hit(&service, &database, id).await, "{id}");
    }
}
