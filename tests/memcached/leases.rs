//! A lease and its connection: no stale write across a restart of the server.

use cache_kit::CacheStrategy::{Fresh, Refresh};
use cache_kit::Error;
use cache_kit::backend::{ByteStore, Claim, HEAD_PREFIXES, MemcachedBackend};
use cache_kit::observability::StoreResult;
use cache_kit_tests::Gated;
use cache_kit_tests::calls::spawn;
use cache_kit_tests::servers::{MemcachedServer, Proxy, eventually_async};
use tokio::task::JoinSet;

use super::{PATIENCE, Service, call, config, service};

/// A server, two processes, and a database whose loads wait at a gate.
fn scene() -> (MemcachedServer, [Service; 2], Gated) {
    let server = MemcachedServer::start();
    let services = [service(&server.url()), service(&server.url())];
    let database = Gated::closed();
    database.set("k", 1);
    (server, services, database)
}

/// Why a lease is valid only on its own connection: a number from before the restart matches an
/// item from after it.
#[test]
fn numbers_begin_again_when_a_server_restarts() {
    let server = MemcachedServer::start();
    let take = b"ms warm 1 c\r\nx\r\nms k 5 ME c T30\r\nlease\r\nmn\r\n";
    assert_eq!(server.ask(take, "MN"), "HD c1\r\nHD c2\r\nMN\r\n");
    server.restart();
    let fill = b"ms k 5 ME c T30\r\nlease\r\nms k 3 C1 c\r\nnew\r\nmn\r\n";
    assert_eq!(server.ask(fill, "MN"), "HD c1\r\nHD c2\r\nMN\r\n");
    let stale = b"ms k 3 C2 c\r\nold\r\nmg k v\r\nmn\r\n";
    assert_eq!(server.ask(stale, "MN"), "HD c3\r\nVA 3\r\nold\r\nMN\r\n");
}

#[tokio::test]
async fn a_lease_of_before_a_restart_stores_nothing_after_it() {
    let (server, [here, there], database) = scene();
    server.ask(b"ms warm 1\r\nx\r\n", "HD");
    // The number of this lease is 2.
    let slow = spawn(&here, &database, "k", Refresh);
    database.entered(1).await;

    server.restart();
    let later = Gated::open();
    later.set("k", 2);
    // The lease has number 1, and the entry gets number 2.
    let fast = call(&there, &later, "k", Refresh).await.unwrap();
    assert_eq!((fast.0.store(), fast.1), (StoreResult::Stored, Some(2)));
    let stored = server.ask(b"mg row:k c\r\n", "HD");
    assert_eq!(stored, "HD c2\r\n", "else this test shows nothing");
    // This process has a new connection by now, so a store would reach the new server.
    assert_eq!(
        call(&here, &database, "other", Fresh).await.unwrap().1,
        None
    );

    database.let_through(1);
    let (outcome, seen) = slow.await.unwrap().unwrap();
    assert_eq!((outcome.store(), seen), (StoreResult::Fenced, Some(1)));
    for service in [&here, &there] {
        let (_, seen) = call(service, &database, "k", Fresh).await.unwrap();
        assert_eq!(seen, Some(2), "the old value overwrote the new one");
    }
}

/// The bytes of something that counts as a placeholder.
fn placeholder(n: u8) -> Vec<u8> {
    [&HEAD_PREFIXES[1][..], &[n; 35]].concat()
}

#[tokio::test]
async fn a_lease_of_before_a_restart_removes_nothing_after_it() {
    let server = MemcachedServer::start();
    let backend = MemcachedBackend::new(config(&server.url())).unwrap();
    let store = backend.servers()[0].byte_store();
    let Claim::Taken(lease) = store.claim("k", &placeholder(1), PATIENCE).await.unwrap() else {
        panic!("nothing stood there");
    };
    server.restart();
    // The connection is lost; the next command has a new one.
    let lost = store.claim("k", &placeholder(3), PATIENCE).await;
    assert!(matches!(lost, Err(Error::ConnectionLost(_))), "{lost:?}");
    let Claim::Taken(_) = store.claim("k", &placeholder(2), PATIENCE).await.unwrap() else {
        panic!("nothing stood there");
    };
    assert!(!store.compare_and_delete("k", &lease).await.unwrap());
    assert!(
        !store
            .compare_and_set("k", &lease, b"old", None)
            .await
            .unwrap()
    );
    let left = store.get("k").await.unwrap();
    assert_eq!(left, Some(placeholder(2)));
}

#[tokio::test]
async fn a_lease_is_good_whichever_connection_took_it() {
    let server = MemcachedServer::start();
    let wire = Proxy::in_front_of_memcached(server.addr());
    let config = config(&server.url_through(&wire)).with_max_connections(2);
    let backend = MemcachedBackend::new(config).unwrap();
    let store = backend.servers()[0].byte_store();
    store.get("warm").await.unwrap();
    // A second one is opened beside one that is busy.
    wire.hold();
    let mut busy = JoinSet::new();
    for _ in 0..100 {
        let backend = backend.clone();
        busy.spawn(async move { backend.servers()[0].byte_store().get("warm").await });
    }
    eventually_async("a second connection", PATIENCE, || wire.accepted() == 2).await;
    wire.release();
    assert!(busy.join_all().await.iter().all(Result::is_ok));

    for round in 0..50 {
        let keys = [format!("a{round}"), format!("b{round}")];
        // They are sent before the first one is answered, so each on another connection.
        let (one, two) = (placeholder(1), placeholder(2));
        let claims = tokio::join!(
            store.claim(&keys[0], &one, PATIENCE),
            store.claim(&keys[1], &two, PATIENCE)
        );
        let (Claim::Taken(one), Claim::Taken(two)) = (claims.0.unwrap(), claims.1.unwrap()) else {
            panic!("nothing stood there");
        };
        // In the other order, beside other commands.
        let others = ["x", "y", "z"];
        let (a, second, b, first) = tokio::join!(
            store.get_many(&others),
            store.compare_and_set(&keys[1], &two, b"value", None),
            store.get_many(&others),
            store.compare_and_set(&keys[0], &one, b"value", None)
        );
        assert!(a.iter().chain(&b).all(Result::is_ok));
        assert!(first.unwrap() && second.unwrap(), "round {round}");
    }
    assert_eq!(wire.accepted(), 2);
}
