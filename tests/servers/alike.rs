//! What the servers of both stores do alike.

use cache_kit_tests::servers::{MemcachedServer, RedisServer, Server};

fn keeps_bytes_until_they_are_removed<S: Server>() {
    let server = S::start();
    assert_eq!(server.value("k"), None);
    server.put("k", b"one\r\n\0\xFF");
    server.put("other", b"");
    assert_eq!(server.value("k").as_deref(), Some(&b"one\r\n\0\xFF"[..]));
    assert_eq!(server.value("other").as_deref(), Some(&b""[..]));
    server.append("k", b" two");
    let whole = server.value("k");
    assert_eq!(whole.as_deref(), Some(&b"one\r\n\0\xFF two"[..]));
    server.delete("k");
    assert_eq!(server.value("k"), None);
    server.delete("k");
    server.flush();
    assert_eq!(server.value("other"), None);
}

#[test]
fn redis_keeps_bytes_until_they_are_removed() {
    keeps_bytes_until_they_are_removed::<RedisServer>();
}

#[test]
fn memcached_keeps_bytes_until_they_are_removed() {
    keeps_bytes_until_they_are_removed::<MemcachedServer>();
}

#[test]
fn a_url_names_all_servers_of_a_backend() {
    let servers: Vec<_> = (0..MemcachedServer::SERVERS)
        .map(|_| MemcachedServer::start())
        .collect();
    let url = <MemcachedServer as Server>::url_of(&servers);
    assert!(servers.iter().all(|server| url.contains(&server.name())));
    let server = RedisServer::start();
    let url = server.url();
    assert_eq!(RedisServer::url_of(&[server]), url);
}
