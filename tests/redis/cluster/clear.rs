//! Dropping a type in a cluster: every node is walked over, wherever the slots go meanwhile.

use cache_kit::backend::{ByteStore, Invalidated, ScanCursor};
use cache_kit_tests::Row;
use cache_kit_tests::servers::{RedisCluster, RedisServer};

use super::super::clear::walk;
use super::{database, ids, key, read, service, settles};

fn cluster() -> RedisCluster {
    RedisCluster::with(3, 0, &RedisServer::options())
}

/// The index of the primary that keeps `id`.
fn home(cluster: &RedisCluster, id: &str) -> usize {
    let port = cluster.node_of(&key(id)).port();
    let mut ports = cluster.primaries().iter().map(RedisServer::port);
    ports.position(|known| known == port).unwrap()
}

#[tokio::test]
async fn every_node_is_cleared() {
    let cluster = cluster();
    let (here, there) = (service(&cluster), service(&cluster));
    let ids = ids(2_000);
    let database = database(&ids);
    settles(&here, &database, &ids, 1).await;
    for id in &ids {
        database.set(id, 2);
    }
    let cleared = there.clear::<Row>().await.unwrap();
    assert_eq!(
        (cleared.keys, cleared.invalidated),
        (2_000, Invalidated::Done)
    );
    for node in cluster.primaries() {
        assert_eq!(node.command(&["DBSIZE"]).integer(), Some(0));
    }
    let found = read(&here, &database, &ids).await;
    assert!(found.iter().all(|(_, seen)| *seen == Some(2)));
    assert!(there.health().available);
}

/// A key moves from a node that is still to be walked over to the one that was walked over first: its
/// slot is there by the end of the walk, or still on its way.
#[tokio::test]
async fn a_key_that_moves_meanwhile_is_met() {
    for end in [true, false] {
        let cluster = cluster();
        let service = service(&cluster);
        let ids = ids(300);
        let database = database(&ids);
        settles(&service, &database, &ids, 1).await;
        let store = service.backend().byte_store();
        let number = |id: &String| store.node_of(&key(id));
        let first = ids.iter().min_by_key(|id| number(id)).unwrap();
        let last = ids.iter().max_by_key(|id| number(id)).unwrap();
        assert_ne!(number(first), number(last));
        let (from, to) = (number(last), home(&cluster, first));

        let (mut moved, mut half_way) = (None, None);
        let met = walk(store, async |next: Option<&ScanCursor>| {
            // The first node has been walked over, and the last one has not.
            if moved.is_none() && next.is_some_and(|next| next.node() == from) {
                let slot = cluster.begin_move(&key(last), to);
                slot.keys();
                moved = Some(());
                match end {
                    true => slot.end(),
                    false => half_way = Some(slot),
                }
            }
        })
        .await;
        assert!(moved.is_some(), "the last node was never walked over");
        assert_eq!(half_way.is_some(), !end);
        assert_eq!(met.len(), ids.len(), "moved {end}");
        for id in &ids {
            assert!(
                met.contains(&key(id)),
                "{id} of {}, moved {end}",
                number(id)
            );
        }
    }
}

#[tokio::test]
async fn a_cluster_is_cleared_while_slots_move_there_and_back() {
    let cluster = cluster();
    let service = service(&cluster);
    let ids = ids(200);
    let database = database(&ids);
    for (version, id) in (2..).zip(ids.iter().step_by(40)) {
        settles(&service, &database, &ids, version - 1).await;
        for id in &ids {
            database.set(id, version);
        }
        let to = (home(&cluster, id) + 1) % 3;
        let moved = cluster.begin_move(&key(id), to);
        let clear = tokio::spawn({
            let service = service.clone();
            async move { service.clear::<Row>().await }
        });
        tokio::task::yield_now().await;
        moved.end();
        let cleared = clear.await.unwrap().unwrap();
        assert_eq!(cleared.invalidated, Invalidated::Done, "{cleared:?}");
        let found = read(&service, &database, &ids).await;
        assert!(
            found.iter().all(|(_, seen)| *seen == Some(version)),
            "{found:?}"
        );
    }
}
