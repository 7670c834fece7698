//! A cluster: who keeps which key, and what its nodes may do meanwhile.

mod answers;
mod clear;
mod failover;
mod slots;

use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_kit::CacheStrategy::Refresh;
use cache_kit::SharedFeeder;
use cache_kit::backend::{Invalidated, NodeRole, RedisBackend, RedisConfig};
use cache_kit_tests::calls::call;
use cache_kit_tests::servers::RedisCluster;
use cache_kit_tests::{Gated, Row};

use super::Service;

/// How long anything may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// A busy machine must not look like a node that is away.
const DEADLINE: Duration = Duration::from_secs(3);

/// A service of its own, as in another process.
fn service(cluster: &RedisCluster) -> Service {
    service_at(&cluster.url())
}

fn service_at(url: &str) -> Service {
    let config = RedisConfig::from_url(url).unwrap();
    let config = config.set(|encoded| encoded.with_operation_deadline(DEADLINE));
    Service::new(RedisBackend::new(config).unwrap())
}

/// An open database with rows of version 1, under these ids.
fn database<'i>(ids: impl IntoIterator<Item = &'i String>) -> Gated {
    let database = Gated::open();
    for id in ids {
        database.set(id, 1);
    }
    database
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("n{n}")).collect()
}

fn key(id: &str) -> String {
    format!("row:{id}")
}

/// Those of `ids` that the primary of this index keeps.
fn kept_by(cluster: &RedisCluster, ids: &[String], primary: usize) -> Vec<String> {
    let port = cluster.primaries()[primary].port();
    let kept = |id: &&String| cluster.node_of(&key(id)).port() == port;
    ids.iter().filter(kept).cloned().collect()
}

/// Reads rows in one call; tells for each whether it was a hit, and its version.
async fn read(service: &Service, database: &Gated, ids: &[String]) -> Vec<(bool, Option<u64>)> {
    let feeder = |id: &String| SharedFeeder::<Row>::new(id.clone());
    let mut feeders: Vec<_> = ids.iter().map(feeder).collect();
    let outcomes = service.execute_many(&mut feeders, database, Refresh).await;
    let versions = feeders
        .into_iter()
        .map(|feeder| feeder.entity.map(|row: Arc<Row>| row.version));
    let hits = outcomes
        .unwrap()
        .into_iter()
        .map(|outcome| outcome.is_hit());
    hits.zip(versions).collect()
}

/// Reads until all rows are hits of this version. No read may return an older one.
async fn settles(service: &Service, database: &Gated, ids: &[String], version: u64) {
    let begun = Instant::now();
    loop {
        let found = read(service, database, ids).await;
        let old = found.iter().filter(|(_, seen)| *seen < Some(version));
        assert_eq!(old.count(), 0, "older than {version}");
        if found.iter().all(|(hit, _)| *hit) {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "{:?}", service.backend().health());
    }
}

#[tokio::test]
async fn entries_are_spread_over_the_nodes_and_shared() {
    let cluster = RedisCluster::with(3, 0, &super::RedisServer::options());
    let (here, there) = (service(&cluster), service(&cluster));
    let ids = ids(300);
    let database = database(&ids);
    settles(&here, &database, &ids, 1).await;
    for (_, seen) in read(&there, &database, &ids).await {
        assert_eq!(seen, Some(1));
    }
    assert_eq!(database.queries().concat().len(), 300, "one load per key");
    for node in cluster.primaries() {
        let keys = node.command(&["DBSIZE"]).integer().unwrap();
        assert!((50..=150).contains(&keys), "{keys} keys on one of three");
        let stats = node.commandstats();
        // One command per key and node, and nothing that a node would refuse.
        assert_eq!(stats.get("mget"), None, "{stats:?}");
    }

    for id in &ids {
        database.set(id, 2);
    }
    let done = there.invalidate_many::<Row>(&ids).await.unwrap();
    assert_eq!(done, Invalidated::Done);
    settles(&here, &database, &ids, 2).await;
}

#[tokio::test]
async fn health_names_every_node_and_its_role() {
    let cluster = RedisCluster::start();
    let first = service(&cluster);
    assert_eq!(first.backend().health().nodes, [], "not reached yet");
    let ids = ids(30);
    let database = database(&ids);
    settles(&first, &database, &ids, 1).await;
    // A node does not name a replica before it has heard that this has received something.
    let begun = Instant::now();
    let health = loop {
        let service = service(&cluster);
        call(&service, &database, "n0", Refresh).await.unwrap();
        let health = service.backend().health();
        if health.nodes.len() == 6 {
            break health;
        }
        assert!(begun.elapsed() < LIMIT, "{health:?}");
    };
    assert!(health.available, "{health:?}");
    let named = |role| {
        let of_role = health.nodes.iter().filter(|node| node.role == role);
        let mut names: Vec<String> = of_role.map(|node| node.name.clone()).collect();
        names.sort();
        names
    };
    let addresses = |nodes: &[super::RedisServer]| {
        let mut names: Vec<String> = nodes.iter().map(|node| node.addr().to_string()).collect();
        names.sort();
        names
    };
    assert_eq!(named(NodeRole::Primary), addresses(cluster.primaries()));
    assert_eq!(named(NodeRole::Replica), addresses(&cluster.nodes()[3..]));
    assert!(health.nodes.iter().all(|node| node.available));
}
