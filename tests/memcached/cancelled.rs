//! Requests that are dropped at any moment: no caller gets the answer to another's request.

use std::sync::Arc;

use cache_kit::backend::{ByteStore, MemcachedBackend};
use cache_kit_tests::schedules::count;
use cache_kit_tests::servers::MemcachedServer;

use super::config;
use super::storm::{Gets, KEYS, Wire, sets, storm, value};

#[derive(Clone)]
struct Ours(Arc<MemcachedBackend>);

impl Gets for Ours {
    async fn get(&self, keys: Vec<String>) -> Option<Vec<Option<Vec<u8>>>> {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        // Below the codec, which would refuse another key's value.
        let store = self.0.servers()[0].byte_store();
        match keys[..] {
            [key] => Some(vec![store.get(key).await.ok()?]),
            _ => {
                let values = store.get_many(&keys).await;
                values.into_iter().collect::<Result<_, _>>().ok()
            }
        }
    }
}

/// The full search drops a hundred thousand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_dropped_and_every_answer_is_the_callers_own() {
    let dropped = 10 * count() as usize;
    let server = MemcachedServer::options().unix_socket().start();
    server.ask(&sets(), "MN");
    let wire = Wire::between(&server.process().room().join("wire.sock"), &server.name());
    let config = config(&format!("memcached://{}", wire.path()));
    let store = Ours(Arc::new(MemcachedBackend::new(config).unwrap()));
    let tally = storm(store.clone(), dropped).await;
    assert_eq!((tally.wrong, tally.failed), (0, 0), "{tally:?}");
    assert!(tally.right > dropped / 10, "{tally:?}");
    for n in 0..KEYS {
        let found = store.get(vec![super::storm::key(n)]).await;
        assert_eq!(found, Some(vec![Some(value(n))]), "after the storm");
    }
}
