//! Servers that refuse: everything else goes on, and the reason is reported.

use cache_kit::CacheStrategy::{Fresh, Invalidate, Refresh};
use cache_kit::backend::{CacheBackend, Invalidated, MemcachedBackend};
use cache_kit::observability::StoreResult;
use cache_kit::{OperationConfig, SharedFeeder};
use cache_kit_tests::Row;
use cache_kit_tests::servers::MemcachedServer;

use super::items::{Note, notes};
use super::peer::{Act, Peer, mark};
use super::{config, service};

#[tokio::test]
async fn a_server_without_memory_refuses_what_is_new_and_keeps_the_rest() {
    let server = MemcachedServer::options().args(["-M", "-m", "2"]).start();
    let service = service(&server.url());
    let ids: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let notes = notes(ids.iter().map(|id| (id.as_str(), 100_000)));
    let mut stored = Vec::new();
    let mut refused = Vec::new();
    for id in &ids {
        let mut feeder = SharedFeeder::<Note>::new(id.clone());
        let outcome = service.execute(&mut feeder, &notes, Refresh).await.unwrap();
        assert!(feeder.entity.is_some());
        match outcome.store() {
            StoreResult::Stored => stored.push(id),
            _ => refused.push(id),
        }
    }
    assert!(!stored.is_empty() && !refused.is_empty());
    let health = service.backend().health();
    assert!(health.available, "{health:?}");
    assert!(
        health.last_error.clone().unwrap().contains("out of memory"),
        "{health:?}"
    );
    // The entry is served, and can be invalidated.
    for id in &stored {
        let mut feeder = SharedFeeder::<Note>::new((*id).clone());
        let outcome = service.execute(&mut feeder, &notes, Fresh).await.unwrap();
        assert!(outcome.is_hit(), "{id}");
    }
    for id in stored.iter().chain(&refused) {
        let done = service.invalidate::<Note>(id).await.unwrap();
        assert_eq!(done, Invalidated::Done, "{id}");
        let mut feeder = SharedFeeder::<Note>::new((*id).clone());
        let config = OperationConfig::default();
        let outcome = service
            .execute_with_config(&mut feeder, &notes, Invalidate, config)
            .await
            .unwrap();
        assert!(!outcome.degraded().invalidation_pending, "{id}");
    }
}

#[tokio::test]
async fn a_deletion_that_is_refused_concerns_its_own_key() {
    let peer = Peer::start(|_, line| {
        Act::Answer(if line.starts_with("md row:b ") {
            b"SERVER_ERROR not now\r\n".to_vec()
        } else if line == "mn" {
            b"MN\r\n".to_vec()
        } else {
            format!("NF {}\r\n", mark(line)).into()
        })
    })
    .await;
    let backend = MemcachedBackend::new(config(&peer.url())).unwrap();
    let done = backend
        .invalidate_many::<Row>(&["row:a", "row:b", "row:c"])
        .await;
    let done: Vec<Invalidated> = done.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        done,
        [Invalidated::Done, Invalidated::Pending, Invalidated::Done]
    );
    assert_eq!(peer.accepted(), 1, "the connection goes on");
}
