//! Connecting takes up to its own limit, even if its callers go away.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_kit::CacheService;
use cache_kit::CacheStrategy::Refresh;
use cache_kit::backend::{ByteStore, Claim, HEAD_PREFIXES, MemcachedBackend};
use cache_kit::observability::StoreResult;
use cache_kit_tests::Gated;
use cache_kit_tests::servers::{MemcachedServer, eventually};

use super::far::Far;
use super::peer::{Act, Peer, mark};
use super::{PATIENCE, call, config, is_hit, scene, service};

#[tokio::test]
async fn a_thousand_callers_of_a_server_that_is_back_open_one_connection() {
    let (server, database) = scene();
    let wire = Far::slow_to_greet(&server, Duration::from_millis(50)).await;
    let service = service(&wire.url());
    let callers: Vec<_> = (0..1_000)
        .map(|n| {
            let id = n.to_string();
            database.set(&id, 1);
            let (service, database) = (service.clone(), database.clone());
            tokio::spawn(async move { call(&service, &database, &id, Refresh).await })
        })
        .collect();
    let mut stored = 0;
    for caller in callers {
        let (outcome, _) = caller.await.unwrap().unwrap();
        stored += usize::from(outcome.store() == StoreResult::Stored);
    }
    assert_eq!(stored, 1_000);
    // A second one is opened only when the first is busy.
    assert!(wire.accepted() <= 4, "{}", wire.accepted());
}

#[tokio::test]
async fn a_connection_that_the_server_closes_when_idle_lasts_as_long_as_a_load() {
    let server = MemcachedServer::options()
        .args(["-o", "idle_timeout=1"])
        .start();
    let database = Gated::closed();
    database.set("k", 1);
    let service = service(&server.url());
    let slow = {
        let (service, database) = (service.clone(), database.clone());
        tokio::spawn(async move { call(&service, &database, "k", Refresh).await })
    };
    database.entered(1).await;
    // An idle connection of the harness is closed in the meantime.
    let addr = server.addr();
    let closed = tokio::task::spawn_blocking(move || {
        use std::io::Read as _;
        let mut idle = std::net::TcpStream::connect(addr).unwrap();
        idle.set_read_timeout(Some(PATIENCE)).unwrap();
        idle.read(&mut [0]).unwrap()
    });
    assert_eq!(closed.await.unwrap(), 0);
    database.let_through(1);
    let (outcome, _) = slow.await.unwrap().unwrap();
    assert_eq!(outcome.store(), StoreResult::Stored, "{outcome:?}");
    // The connection is not held any more, so it is closed; the next caller does not notice.
    eventually("the server closed the connection", PATIENCE, || {
        server.stat("idle_kicks").as_deref() == Some("2")
    });
    assert!(is_hit(&service, &database, "k").await);
    let health = service.backend().health();
    assert!(health.last_error.is_none(), "{health:?}");
}

#[tokio::test]
async fn localhost_is_tried_on_all_its_addresses() {
    let (server, database) = scene();
    let wire = Far::on_ipv6(&server).await;
    for host in ["[::1]", "localhost"] {
        let service = service(&format!("memcached://{host}:{}", wire.port()));
        let outcome = call(&service, &database, "k", Refresh).await.unwrap().0;
        assert!(!outcome.degraded().any(), "{host}: {outcome:?}");
        assert!(is_hit(&service, &database, "k").await, "{host}");
    }
    assert!(wire.accepted() >= 2);
}

#[tokio::test]
async fn no_setting_panics() {
    let (server, database) = scene();
    let extreme = config(&server.url())
        .with_max_connections(usize::MAX)
        .with_connect_deadline(Duration::MAX);
    let nothing = config(&server.url())
        .with_max_connections(0)
        .with_connect_deadline(Duration::MAX)
        .set(|encoded| encoded.with_operation_deadline(PATIENCE));
    for config in [extreme, nothing] {
        let service = CacheService::new(MemcachedBackend::new(config).unwrap());
        let outcome = call(&service, &database, "k", Refresh).await.unwrap().0;
        assert!(!outcome.degraded().any(), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_full_says_so() {
    let server = MemcachedServer::options().args(["-c", "64"]).start();
    let connect = || std::net::TcpStream::connect(server.addr()).unwrap();
    let _others: Vec<_> = (0..100).map(|_| connect()).collect();
    let backend = MemcachedBackend::new(config(&server.url())).unwrap();
    let error = backend.servers()[0]
        .byte_store()
        .get("k")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no more connections"), "{error}");
}

/// The bytes of something that counts as a placeholder.
fn placeholder() -> Vec<u8> {
    [&HEAD_PREFIXES[1][..], &[1; 35]].concat()
}

/// The peer does not answer until it has the second command of a claim. A client that waited for
/// the answer to the first one would wait for ever.
#[tokio::test]
async fn a_claim_takes_one_round_trip_and_over_a_foreign_value_two() {
    for (standing, trips) in [(None, 1), (Some("foreign"), 2)] {
        let added = Mutex::new(String::new());
        let commands = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&commands);
        let peer = Peer::start(move |_, line| {
            counted.fetch_add(1, Ordering::AcqRel);
            let mark = mark(line);
            if line.contains(" ME ") {
                *added.lock().unwrap() = mark.to_owned();
                return Act::Silence;
            }
            let added = added.lock().unwrap();
            Act::Answer(
                match (line.starts_with("mg "), standing) {
                    (true, None) => format!("HD c1 {added}\r\nVA 1 c1 {mark}\r\nx\r\n"),
                    (true, Some(standing)) => {
                        let length = standing.len();
                        format!("NS {added}\r\nVA {length} c7 {mark}\r\n{standing}\r\n")
                    }
                    (false, _) => format!("HD c8 {mark}\r\n"),
                }
                .into(),
            )
        })
        .await;
        let backend = MemcachedBackend::new(config(&peer.url())).unwrap();
        let store = backend.servers()[0].byte_store();
        let placeholder = placeholder();
        let claim = store.claim("k", &placeholder, PATIENCE);
        let claim = tokio::time::timeout(PATIENCE, claim).await.unwrap();
        assert!(matches!(claim, Ok(Claim::Taken(_))), "{claim:?}");
        assert_eq!(commands.load(Ordering::Acquire), trips + 1, "{standing:?}");
    }
}
