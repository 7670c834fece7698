//! Slots that move: `MOVED` and `ASK`.

use cache_kit::CacheStrategy::{Invalidate, Refresh};
use cache_kit::backend::Invalidated;
use cache_kit_tests::Row;
use cache_kit_tests::calls::{call, is_hit};
use cache_kit_tests::servers::{RedisCluster, RedisServer};

use super::{database, ids, key, read, service, settles};

fn cluster() -> RedisCluster {
    RedisCluster::with(3, 0, &RedisServer::options())
}

/// The index of a primary that does not keep the key.
fn elsewhere(cluster: &RedisCluster, id: &str) -> usize {
    let port = cluster.node_of(&key(id)).port();
    let other = cluster
        .primaries()
        .iter()
        .position(|node| node.port() != port);
    other.unwrap()
}

#[tokio::test]
async fn a_slot_that_has_moved_is_followed_at_the_first_command() {
    let cluster = cluster();
    let service = service(&cluster);
    let database = database(&ids(1));
    call(&service, &database, "n0", Refresh).await.unwrap();
    cluster
        .begin_move("row:n0", elsewhere(&cluster, "n0"))
        .end();

    let (outcome, _) = call(&service, &database, "n0", Refresh).await.unwrap();
    assert!(outcome.is_hit() && !outcome.degraded().any(), "{outcome:?}");
    let new = cluster.node_of("row:n0");
    new.reset_stats();
    for _ in 0..10 {
        assert!(is_hit(&service, &database, "n0").await);
    }
    assert_eq!(new.commandstats().get("get"), Some(&10), "no detours");
    assert_eq!(database.loads(), 1);
}

/// The first command after a move, of each kind that changes something.
#[tokio::test]
async fn whatever_is_sent_first_after_a_move_is_done_at_the_new_node() {
    let cluster = cluster();
    let (here, there) = (service(&cluster), service(&cluster));
    let ids = ids(4);
    let database = database(&ids);
    settles(&here, &database, &ids, 1).await;
    for id in &ids {
        cluster.begin_move(&key(id), elsewhere(&cluster, id)).end();
    }

    // A deletion.
    database.set("n0", 2);
    let done = here.invalidate::<Row>(&"n0".to_owned()).await.unwrap();
    assert_eq!(done, Invalidated::Done);
    // Deletions of a batch.
    database.set("n1", 2);
    let done = here.invalidate_many::<Row>(&["n1".to_owned()]).await;
    assert_eq!(done.unwrap(), Invalidated::Done);
    // A lease that invalidates.
    database.set("n2", 2);
    let (outcome, _) = call(&here, &database, "n2", Invalidate).await.unwrap();
    assert!(!outcome.degraded().any(), "{outcome:?}");
    // A look-up, a lease and a store.
    cluster.node_of("row:n3").flush();
    let (outcome, _) = call(&here, &database, "n3", Refresh).await.unwrap();
    assert!(!outcome.degraded().any(), "{outcome:?}");

    for (id, version) in ids.iter().zip([2, 2, 2, 1]) {
        let (_, seen) = call(&there, &database, id, Refresh).await.unwrap();
        assert_eq!(seen, Some(version), "{id}");
    }
}

#[tokio::test]
async fn a_key_on_its_way_is_read_fenced_and_invalidated_wherever_it_is() {
    let cluster = cluster();
    let (here, there) = (service(&cluster), service(&cluster));
    // Keys of one slot.
    let ids: Vec<String> = ["{s}a", "{s}b", "{s}c"].map(str::to_owned).into();
    let database = database(&ids);
    call(&here, &database, "{s}a", Refresh).await.unwrap();
    call(&there, &database, "{s}a", Refresh).await.unwrap();
    let from = cluster.node_of(&key("{s}a")).port();
    let moved = cluster.begin_move(&key("{s}a"), elsewhere(&cluster, "{s}a"));

    // Still here; another one is not there yet, and is stored where it will be.
    assert!(is_hit(&here, &database, "{s}a").await);
    let (outcome, _) = call(&here, &database, "{s}b", Refresh).await.unwrap();
    assert!(!outcome.degraded().any(), "{outcome:?}");
    assert!(is_hit(&there, &database, "{s}b").await);

    // Moved: both ask the new node, which did not load the scripts before.
    moved.keys();
    for service in [&here, &there] {
        assert!(is_hit(service, &database, "{s}a").await);
        let found = read(service, &database, &ids[..2]).await;
        assert_eq!(found, [(true, Some(1)), (true, Some(1))]);
    }
    for id in ["{s}a", "{s}b"] {
        database.set(id, 2);
        let done = here.invalidate::<Row>(&id.to_owned()).await.unwrap();
        assert_eq!(done, Invalidated::Done);
        let (_, seen) = call(&there, &database, id, Refresh).await.unwrap();
        assert_eq!(seen, Some(2));
    }
    let (outcome, _) = call(&there, &database, "{s}c", Invalidate).await.unwrap();
    assert!(!outcome.degraded().any(), "{outcome:?}");

    moved.end();
    assert_ne!(cluster.node_of(&key("{s}a")).port(), from);
    settles(&here, &database, &ids, 1).await;
    assert!(here.backend().health().available);
    assert!(here.backend().health().last_error.is_none());
}

#[tokio::test]
async fn slots_move_there_and_back_during_batches() {
    let cluster = cluster();
    let service = service(&cluster);
    let ids = ids(200);
    let database = database(&ids);
    settles(&service, &database, &ids, 1).await;
    let loads = database.loads();
    for round in 0..2 {
        for id in ids.iter().step_by(20) {
            let moved = cluster.begin_move(&key(id), elsewhere(&cluster, id));
            let found = read(&service, &database, &ids).await;
            assert!(
                found.iter().all(|(hit, _)| *hit),
                "round {round}, half moved"
            );
            moved.end();
            let found = read(&service, &database, &ids).await;
            assert!(found.iter().all(|(hit, _)| *hit), "round {round}, moved");
        }
    }
    assert_eq!(database.loads(), loads, "no key was missed");
}
