//! Commands that reach the server after the client's connection has ended, and a wire to memcached.

use std::io::{Read, Write};
use std::net::TcpStream;

use cache_kit_tests::servers::{Command, MemcachedServer, Proxy, Trick, eventually};

use super::proxy::{LIMIT, connect, has_ended, pair};

#[tokio::test]
async fn a_late_command_arrives_after_its_client_has_gone_on() {
    let (redis, proxy) = pair();
    let mut client = connect(&proxy);
    client.command(&["SELECT", "3"]).unwrap();
    let late = proxy.on_next(Command::named("SET"), Trick::LateCommand);
    client.send(&["SET", "k", "late"]).unwrap();
    assert!(has_ended(&mut client));
    late.wait();
    assert_eq!(proxy.connections(), 0);
    // The client does it again, and another client removes the result.
    let mut again = connect(&proxy);
    again.command(&["SELECT", "3"]).unwrap();
    assert!(again.command(&["SET", "k", "again"]).unwrap().is_ok());
    assert_eq!(again.command(&["DEL", "k"]).unwrap().integer(), Some(1));
    assert!(!late.has_been_delivered());

    late.deliver().await;
    let value = again.command(&["GET", "k"]).unwrap();
    assert_eq!(value.text().as_deref(), Some("late"), "in its own database");
    assert_eq!(redis.command(&["EXISTS", "k"]).integer(), Some(0));
    eventually("the late connection ends", LIMIT, || {
        let clients = redis.command(&["CLIENT", "LIST"]).text().unwrap();
        // The connection that asks, and the one that goes on.
        clients.lines().count() == 2
    });
}

#[tokio::test]
async fn what_was_sent_behind_a_late_command_is_late_with_it() {
    let (redis, proxy) = pair();
    let mut client = connect(&proxy);
    let late = proxy.on_next(Command::named("INCR"), Trick::LateCommand);
    let mut all = Vec::new();
    for _ in 0..1_000 {
        all.extend(Command::encode(&["INCR", "n"]));
    }
    client.send_raw(&all).unwrap();
    assert!(has_ended(&mut client));
    late.deliver().await;
    eventually("all have come", LIMIT, || {
        redis.command(&["GET", "n"]).text().as_deref() == Some("1000")
    });
}

#[tokio::test]
async fn a_held_command_becomes_late_when_its_client_is_cut() {
    let (redis, proxy) = pair();
    let (mut client, mut other) = (connect(&proxy), connect(&proxy));
    let held = proxy.on_next(Command::named("SET"), Trick::HoldCommand);
    client.send(&["SET", "k", "v"]).unwrap();
    held.wait();
    held.cut_client();
    assert!(has_ended(&mut client));
    assert!(other.command(&["PING"]).is_ok(), "no other one is cut");
    assert_eq!(redis.command(&["EXISTS", "k"]).integer(), Some(0));
    // Nor does cutting all connections drop the late commands.
    proxy.cut();
    held.deliver().await;
    assert_eq!(redis.command(&["GET", "k"]).text().as_deref(), Some("v"));
}

#[test]
fn what_is_late_never_comes_when_the_proxy_is_gone() {
    let (redis, proxy) = pair();
    let mut client = connect(&proxy);
    let late = proxy.on_next(Command::named("SET"), Trick::LateCommand);
    client.send(&["SET", "k", "v"]).unwrap();
    late.wait();
    drop(proxy);
    late.release();
    assert_eq!(redis.command(&["EXISTS", "k"]).integer(), Some(0));
}

struct Memcached {
    stream: TcpStream,
}

impl Memcached {
    fn connect(proxy: &Proxy) -> Self {
        let stream = TcpStream::connect(proxy.addr()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self { stream }
    }

    /// Sends bytes, and reads as many as are expected.
    fn says(&mut self, request: &str, expected: &str) {
        self.stream.write_all(request.as_bytes()).unwrap();
        let mut answer = vec![0; expected.len()];
        self.stream.read_exact(&mut answer).unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), expected, "{request}");
    }

    fn has_ended(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0) | Err(_))
    }
}

#[tokio::test]
async fn commands_of_memcached_are_told_apart_and_come_late() {
    let server = MemcachedServer::start();
    let proxy = Proxy::in_front_of_memcached(server.addr());
    assert_eq!(
        server.url_through(&proxy),
        format!("memcached://{}", proxy.addr())
    );
    let mut client = Memcached::connect(&proxy);
    client.says("ms a 9 T0\r\nmg b v\r\n.\r\n", "HD\r\n");
    client.says("mg a v\r\nmn\r\n", "VA 9\r\nmg b v\r\n.\r\nMN\r\n");
    client.says("set b 0 0 1\r\nB\r\n", "STORED\r\n");
    client.says("set c 0 0 1 noreply\r\nC\r\nmn\r\n", "MN\r\n");
    client.says(
        "get a b x c\r\nmn\r\n",
        "VALUE a 0 9\r\nmg b v\r\n.\r\nVALUE b 0 1\r\nB\r\nVALUE c 0 1\r\nC\r\nEND\r\nMN\r\n",
    );
    for (name, count) in [("MS", 1), ("MG", 1), ("SET", 2), ("GET", 1), ("MN", 3)] {
        assert_eq!(proxy.seen(name), count, "{name}");
    }

    // An answer behind one that takes many lines, and behind a command without one.
    let replaced = proxy.on_next(
        |command| command.is("MG") && command.has_arg("b"),
        Trick::ReplaceAnswer(b"EN\r\n".into()),
    );
    client.says(
        "delete c noreply\r\nget a\r\nmg b v\r\nmg a s\r\n",
        "VALUE a 0 9\r\nmg b v\r\n.\r\nEND\r\nEN\r\nHD s9\r\n",
    );
    assert!(replaced.has_sprung());

    let late = proxy.on_next(Command::named("MS"), Trick::LateCommand);
    client
        .stream
        .write_all(b"ms d 4\r\nlate\r\nmd b\r\n")
        .unwrap();
    assert!(client.has_ended());
    let mut again = Memcached::connect(&proxy);
    again.says("ms d 5\r\nagain\r\nmd d\r\n", "HD\r\nHD\r\n");
    assert_eq!(server.value("d"), None);
    assert!(server.value("b").is_some());
    late.deliver().await;
    assert_eq!(server.value("d").as_deref(), Some(&b"late"[..]));
    eventually("what was behind it has come", LIMIT, || {
        server.value("b").is_none()
    });
}

#[test]
fn what_is_no_memcached_fails_the_test() {
    let server = MemcachedServer::start();
    let proxy = Proxy::in_front_of_memcached(server.addr());
    let mut client = Memcached::connect(&proxy);
    client.stream.write_all(b"ms a no\r\n").unwrap();
    assert!(client.has_ended());
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(proxy)));
    assert!(dropped.is_err());
}
