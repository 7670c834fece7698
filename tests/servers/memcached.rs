//! Memcached servers: started, broken, back, and gone.

use cache_kit_tests::servers::{MemcachedServer, is_alive};

#[test]
fn it_answers_and_keeps_what_it_is_told_until_it_is_killed() {
    for options in [
        MemcachedServer::options(),
        MemcachedServer::options().unix_socket(),
    ] {
        let server = options.start();
        assert!(server.is_up());
        assert_eq!(server.ask(b"ms k 5\r\nvalue\r\n", "HD"), "HD\r\n");
        assert_eq!(server.value("k").as_deref(), Some(&b"value"[..]));
        assert_eq!(server.value("other"), None);
        assert_eq!(server.stat("curr_items").as_deref(), Some("1"));
        server.kill();
        assert!(!server.is_up());
        server.restart();
        assert!(server.is_up());
        assert_eq!(server.value("k"), None, "it comes back empty");
    }
}

#[test]
fn stopped_it_does_not_answer_and_continued_it_does() {
    let server = MemcachedServer::start();
    server.ask(b"ms k 1\r\nx\r\n", "HD");
    server.stop();
    assert!(!server.is_up());
    server.cont();
    assert!(server.is_up());
    assert_eq!(server.value("k").as_deref(), Some(&b"x"[..]));
}

#[test]
fn arguments_reach_it_and_nothing_of_it_is_left() {
    let server = MemcachedServer::options().args(["-c", "77"]).start();
    let settings = server.ask(b"stats settings\r\n", "END");
    assert!(settings.contains("STAT maxconns 77\r\n"), "{settings}");
    let pid = server.process().pid().unwrap();
    let room = server.process().room().to_owned();
    drop(server);
    assert!(!is_alive(pid) && !room.exists());
}
