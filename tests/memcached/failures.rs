//! One of several servers that hangs or is dead, and all of them gone and back.

use std::time::Duration;

use cache_kit::CacheStrategy::{Fresh, Refresh};
use cache_kit::Source;
use cache_kit::backend::{CacheBackend, Invalidated};
use cache_kit_tests::calls::serves_again;
use cache_kit_tests::servers::{MemcachedServer, eventually_async};
use cache_kit_tests::{Gated, Row};

use super::{Service, call, service_by_default as service};

/// Three servers, and thirty rows in version 1 that a service has read, so that they are cached.
struct Three {
    servers: Vec<MemcachedServer>,
    service: Service,
    database: Gated,
    ids: Vec<String>,
}

impl Three {
    async fn new() -> Self {
        let servers: Vec<_> = (0..3).map(|_| MemcachedServer::start()).collect();
        let three = Self {
            service: service(&MemcachedServer::url_of(&servers)),
            servers,
            database: Gated::open(),
            ids: (0..30).map(|n| n.to_string()).collect(),
        };
        for id in &three.ids {
            three.database.set(id, 1);
            call(&three.service, &three.database, id, Refresh)
                .await
                .unwrap();
        }
        three
    }

    /// The place of the server that keeps a row.
    fn server_of(&self, id: &str) -> usize {
        let store = self
            .service
            .backend()
            .server_of(&format!("row:{id}"))
            .byte_store();
        let of = |server: &MemcachedServer| server.name() == store.server();
        self.servers.iter().position(of).unwrap()
    }

    fn kept_by(&self, server: usize) -> impl Iterator<Item = &str> {
        let ids = self.ids.iter().map(String::as_str);
        ids.filter(move |id| self.server_of(id) == server)
    }

    fn others_than(&self, server: usize) -> impl Iterator<Item = &str> {
        let ids = self.ids.iter().map(String::as_str);
        ids.filter(move |id| self.server_of(id) != server)
    }
}

#[tokio::test]
async fn one_of_three_stops_and_only_its_keys_are_loaded_uncached() {
    let three = Three::new().await;
    let (service, database) = (&three.service, &three.database);
    three.servers[1].stop();
    for id in three.kept_by(1) {
        database.set(id, 2);
        let done = service.invalidate::<Row>(&id.to_owned()).await.unwrap();
        assert_eq!(done, Invalidated::Pending, "{id}");
        let (outcome, seen) = call(service, database, id, Refresh).await.unwrap();
        assert_eq!((outcome.source(), seen), (Source::Repository, Some(2)));
    }
    for id in three.others_than(1) {
        assert!(call(service, database, id, Fresh).await.unwrap().0.is_hit());
        database.set(id, 2);
        let done = service.invalidate::<Row>(&id.to_owned()).await.unwrap();
        assert_eq!(done, Invalidated::Done, "{id}");
        serves_again::<MemcachedServer>(service, database, id, 2).await;
    }
    let backend = service.backend();
    assert!(!backend.health().available);
    let healths: Vec<_> = backend
        .servers()
        .iter()
        .map(|server| server.health())
        .collect();
    assert!(healths[0].available && healths[2].available, "{healths:?}");
    let waiting = backend.health().pending_invalidations;
    assert_eq!(waiting, three.kept_by(1).count());
    assert_eq!(healths[1].pending_invalidations, waiting, "{healths:?}");
    let nodes = backend.health().nodes;
    let names: Vec<_> = three.servers.iter().map(MemcachedServer::name).collect();
    assert!(nodes.iter().map(|node| &node.name).eq(&names), "{nodes:?}");
    let available: Vec<_> = nodes.iter().map(|node| node.available).collect();
    assert_eq!(available, [true, false, true], "{nodes:?}");
    assert_eq!(nodes[1].pending_invalidations, waiting, "{nodes:?}");

    three.servers[1].cont();
    for id in three.kept_by(1) {
        serves_again::<MemcachedServer>(service, database, id, 2).await;
    }
    assert_eq!(backend.health().pending_invalidations, 0);
}

#[tokio::test]
async fn one_of_three_is_dead_and_spoils_only_its_part_of_a_batch() {
    let three = Three::new().await;
    let backend = three.service.backend();
    three.servers[2].kill();
    let keys: Vec<String> = three.ids.iter().map(|id| format!("row:{id}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let now = cache_kit::clock::Clock::system().now();
    let found = backend.get_many::<Row>(&keys, now).await;
    let done = backend.invalidate_many::<Row>(&keys).await;
    assert_eq!((found.len(), done.len()), (keys.len(), keys.len()));
    for ((id, found), done) in three.ids.iter().zip(found).zip(done) {
        let dead = three.server_of(id) == 2;
        assert_eq!(found.is_err(), dead, "{id}");
        let expected = if dead {
            Invalidated::Pending
        } else {
            Invalidated::Done
        };
        assert_eq!(done.unwrap(), expected, "{id}");
    }
    let waiting = backend.health().pending_invalidations;
    assert_eq!(waiting, three.kept_by(2).count());
    three.servers[2].restart();
    eventually_async("the queue is empty", Duration::from_secs(20), || {
        backend.health().pending_invalidations == 0
    })
    .await;
}

#[tokio::test]
async fn all_are_gone_and_come_back() {
    let three = Three::new().await;
    let (service, database) = (&three.service, &three.database);
    for server in &three.servers {
        server.kill();
    }
    for id in &three.ids {
        database.set(id, 2);
        let done = service.invalidate::<Row>(id).await.unwrap();
        assert_eq!(done, Invalidated::Pending, "{id}");
        let (outcome, seen) = call(service, database, id, Refresh).await.unwrap();
        assert_eq!((outcome.source(), seen), (Source::Repository, Some(2)));
    }
    for server in &three.servers {
        server.restart();
    }
    for id in &three.ids {
        serves_again::<MemcachedServer>(service, database, id, 2).await;
    }
    assert_eq!(service.backend().health().pending_invalidations, 0);
}
