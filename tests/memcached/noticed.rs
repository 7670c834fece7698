//! What a service that has nothing but a subscriber notices of Memcached alone. `tests/remote` has what
//! it notices of both stores.

use cache_kit_tests::noticed::{SECRET, lines, service, the_line, work};
use cache_kit_tests::servers::{MemcachedServer, RedisServer};
use cache_kit_tests::traced::trace;
use tracing::level_filters::LevelFilter;

use super::items::notes;
use super::peer::{Act, Peer, mark};

#[tokio::test]
async fn a_store_without_room() {
    let server = MemcachedServer::options().args(["-M", "-m", "2"]).start();
    let (traced, _guard) = trace(LevelFilter::INFO);
    let ids: Vec<String> = (0..200).map(|n| format!("{SECRET}{n}")).collect();
    let database = notes(ids.iter().map(|id| (id.as_str(), 100_000)));
    let notes = service(&server.url()).repository(database);
    for id in &ids {
        let found = notes.get(id).await.unwrap();
        assert!(found.is_some(), "the repository answers");
    }
    let node = format!("cache.node={}", server.name());
    the_line(
        &lines(&traced),
        &["WARN", "refused a command", "out of memory", &node],
    );
}

#[tokio::test]
async fn a_deletion_that_is_refused() {
    let peer = Peer::start(|_, line| {
        Act::Answer(if line == "mn" {
            b"MN\r\n".to_vec()
        } else if line.starts_with("md ") {
            b"SERVER_ERROR not now\r\n".to_vec()
        } else {
            format!("EN {}\r\n", mark(line)).into()
        })
    })
    .await;
    let (traced, _guard) = trace(LevelFilter::INFO);
    let service = service(&peer.url());
    let done = service
        .invalidate::<cache_kit_tests::Row>(&SECRET.to_owned())
        .await;
    assert!(done.is_ok(), "{done:?}");
    let lines = lines(&traced);
    the_line(
        &lines,
        &[
            "WARN",
            "refused a command",
            "the server has an error",
            "cache.operation=invalidate",
        ],
    );
    the_line(
        &lines,
        &[
            "WARN",
            "an invalidation has not reached",
            "cache.entity=row",
        ],
    );
}

#[tokio::test]
async fn a_server_that_is_not_memcached() {
    let server = RedisServer::start();
    let (traced, _guard) = trace(LevelFilter::INFO);
    work(&service(&format!(
        "memcached://127.0.0.1:{}",
        server.port()
    )))
    .await;
    the_line(&lines(&traced), &["WARN", "the cache store failed"]);
}
