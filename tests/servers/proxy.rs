//! A proxy without tricks on single commands: it passes, delays, holds, cuts, swallows, refuses.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use cache_kit_tests::servers::{
    Command, Connection, Proxy, RedisServer, Reply, Trick, eventually, eventually_async,
};

pub(crate) const LIMIT: Duration = Duration::from_secs(10);
/// Long enough to see that there is no answer on loopback.
pub(crate) const SOON: Duration = Duration::from_millis(100);

pub(crate) fn pair() -> (RedisServer, Proxy) {
    let redis = RedisServer::start();
    let proxy = Proxy::in_front_of(redis.addr());
    (redis, proxy)
}

pub(crate) fn connect(proxy: &Proxy) -> Connection {
    Connection::open(proxy.addr(), LIMIT).unwrap()
}

pub(crate) fn is_silent(connection: &mut Connection) -> bool {
    connection.set_limit(SOON).unwrap();
    let end = connection.receive();
    connection.set_limit(LIMIT).unwrap();
    end.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

pub(crate) fn has_ended(connection: &mut Connection) -> bool {
    connection.receive().is_err_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
        )
    })
}

#[test]
fn passes_everything_both_ways() {
    let (redis, proxy) = pair();
    let mut client = connect(&proxy);
    let big = vec![b'x'; 3 << 20];
    assert!(
        client
            .command(&[b"SET".as_slice(), b"k", &big])
            .unwrap()
            .is_ok()
    );
    assert_eq!(client.command(&["GET", "k"]).unwrap(), Reply::Bulk(big));
    assert_eq!(
        client
            .command(&["HELLO", "4"])
            .unwrap()
            .error()
            .unwrap()
            .split(' ')
            .next(),
        Some("NOPROTO")
    );
    assert_eq!(
        redis.url_through(&proxy),
        format!("redis://127.0.0.1:{}", proxy.port())
    );
    assert_eq!(proxy.seen("get"), 1);
    assert_eq!(proxy.seen("DEL"), 0);
    let counts: Vec<_> = proxy.counts().into_iter().collect();
    assert_eq!(
        counts,
        [("GET".into(), 1), ("HELLO".into(), 1), ("SET".into(), 1)]
    );
    proxy.reset_counts();
    assert_eq!(proxy.seen("GET"), 0);
}

#[test]
fn finds_commands_in_any_pieces() {
    let (_redis, proxy) = pair();
    let mut client = connect(&proxy);
    let mut stream = Command::encode(&["SET", "k", "*1\r\n$3\r\nGET\r\n"]);
    stream.extend(b"PING\r\n\r\n*0\r\n");
    stream.extend(Command::encode(&["get", "k"]));
    for byte in &stream {
        client.send_raw(&[*byte]).unwrap();
    }
    // And all in one.
    client.send_raw(&stream).unwrap();
    for _ in 0..2 {
        assert!(client.receive().unwrap().is_ok());
        assert_eq!(client.receive().unwrap().text().unwrap(), "PONG");
        assert_eq!(
            client.receive().unwrap().text().unwrap(),
            "*1\r\n$3\r\nGET\r\n"
        );
    }
    let counts: Vec<_> = proxy.counts().into_iter().collect();
    assert_eq!(
        counts,
        [("GET".into(), 2), ("PING".into(), 2), ("SET".into(), 2)]
    );
}

#[test]
fn pairs_answers_of_a_long_pipeline() {
    let (_redis, proxy) = pair();
    let mut client = connect(&proxy);
    let last = proxy.on_next(
        |command| command.has_arg("777"),
        Trick::ReplaceAnswer(b"+here\r\n".into()),
    );
    for number in 0..1_000 {
        client.send(&["ECHO", &number.to_string()]).unwrap();
    }
    for number in 0..1_000 {
        let expected = if number == 777 {
            "here".into()
        } else {
            number.to_string()
        };
        assert_eq!(client.receive().unwrap().text().unwrap(), expected);
    }
    assert!(last.has_sprung());
}

#[test]
fn pushes_answer_nothing() {
    let (redis, proxy) = pair();
    let mut client = connect(&proxy);
    assert!(matches!(
        client.command(&["HELLO", "3"]).unwrap(),
        Reply::Map(_)
    ));
    client.send(&["SUBSCRIBE", "a", "b"]).unwrap();
    assert!(matches!(client.receive().unwrap(), Reply::Push(_)));
    assert!(matches!(client.receive().unwrap(), Reply::Push(_)));
    assert!(
        client
            .command(&["CLIENT", "TRACKING", "ON"])
            .unwrap()
            .is_ok()
    );
    assert_eq!(client.command(&["GET", "k"]).unwrap(), Reply::Null);

    let held = proxy.on_next(Command::named("GET"), Trick::HoldAnswer);
    redis.command(&["PUBLISH", "a", "news"]);
    redis.command(&["SET", "k", "v"]);
    client.send(&["GET", "k"]).unwrap();
    for _ in 0..2 {
        assert!(matches!(client.receive().unwrap(), Reply::Push(_)));
    }
    held.wait();
    assert!(is_silent(&mut client));
    held.release();
    assert_eq!(client.receive().unwrap().text().unwrap(), "v");
}

#[test]
fn messages_of_resp2_answer_nothing() {
    let (redis, proxy) = pair();
    let mut client = connect(&proxy);
    let first = proxy.on_next(
        Command::named("SUBSCRIBE"),
        Trick::DelayAnswer(Duration::ZERO),
    );
    client.send(&["SUBSCRIBE", "a", "b"]).unwrap();
    for _ in 0..2 {
        assert!(matches!(client.receive().unwrap(), Reply::Array(_)));
    }
    assert!(first.has_sprung());
    let held = proxy.on_next(Command::named("PING"), Trick::HoldAnswer);
    redis.command(&["PUBLISH", "b", "news"]);
    assert!(matches!(client.receive().unwrap(), Reply::Array(_)));
    client.send(&["PING"]).unwrap();
    held.wait();
    assert!(is_silent(&mut client));
    proxy.release();
    assert!(matches!(client.receive().unwrap(), Reply::Array(_)));
}

#[test]
fn delays_answers_together() {
    let (_redis, proxy) = pair();
    let mut client = connect(&proxy);
    client.command(&["PING"]).unwrap();
    let delay = Duration::from_millis(500);
    proxy.delay(delay);
    let start = Instant::now();
    for _ in 0..10 {
        client.send(&["PING"]).unwrap();
    }
    client.receive().unwrap();
    assert!(start.elapsed() >= delay);
    for _ in 1..10 {
        client.receive().unwrap();
    }
    assert!(start.elapsed() < 4 * delay, "{:?}", start.elapsed());
    proxy.pass();
    let start = Instant::now();
    client.command(&["PING"]).unwrap();
    assert!(start.elapsed() < delay);
}

#[test]
fn holds_answers_until_they_are_released() {
    let (redis, proxy) = pair();
    let mut client = connect(&proxy);
    proxy.hold();
    client.send(&["INCR", "n"]).unwrap();
    client.send(&["INCR", "n"]).unwrap();
    eventually("both reached the server", LIMIT, || {
        redis.command(&["GET", "n"]).text().as_deref() == Some("2")
    });
    assert!(is_silent(&mut client));
    proxy.release();
    assert_eq!(client.receive().unwrap(), Reply::Integer(1));
    assert_eq!(client.receive().unwrap(), Reply::Integer(2));
    assert_eq!(client.command(&["INCR", "n"]).unwrap(), Reply::Integer(3));
}

#[test]
fn cuts_all_connections_and_takes_new_ones() {
    let (_redis, proxy) = pair();
    let (mut one, mut other) = (connect(&proxy), connect(&proxy));
    for client in [&mut one, &mut other] {
        client.command(&["PING"]).unwrap();
    }
    assert_eq!(proxy.connections(), 2);
    proxy.cut();
    assert!(has_ended(&mut one) && has_ended(&mut other));
    assert_eq!(proxy.connections(), 0);
    assert!(connect(&proxy).command(&["PING"]).is_ok());
    assert_eq!(proxy.accepted(), 3);
}

#[test]
fn a_black_hole_takes_everything_and_gives_nothing() {
    let (redis, proxy) = pair();
    let mut old = connect(&proxy);
    old.command(&["PING"]).unwrap();
    proxy.black_hole();
    let mut new = connect(&proxy);
    for client in [&mut old, &mut new] {
        client.send(&["SET", "k", "v"]).unwrap();
        assert!(is_silent(client));
    }
    eventually("both were read", LIMIT, || proxy.seen("SET") == 2);
    assert_eq!(redis.command(&["EXISTS", "k"]).integer(), Some(0));

    proxy.pass();
    assert!(connect(&proxy).command(&["PING"]).is_ok());
    for client in [&mut old, &mut new] {
        client.send(&["PING"]).unwrap();
        assert!(is_silent(client));
    }
    drop((old, new));
    eventually("closed connections are gone", LIMIT, || {
        proxy.connections() == 0
    });
}

#[test]
fn a_black_hole_needs_no_server() {
    let (redis, proxy) = pair();
    proxy.black_hole();
    redis.kill();
    let mut client = connect(&proxy);
    client.send(&["PING"]).unwrap();
    assert!(is_silent(&mut client));
}

#[test]
fn refuses_new_connections_and_keeps_open_ones() {
    let (_redis, proxy) = pair();
    let mut open = connect(&proxy);
    open.command(&["PING"]).unwrap();
    proxy.refuse();
    let refused = Connection::open(proxy.addr(), LIMIT).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(open.command(&["PING"]).is_ok());
    proxy.refuse();
    proxy.pass();
    assert!(connect(&proxy).command(&["PING"]).is_ok());
    assert!(open.command(&["PING"]).is_ok());
}

#[test]
fn passes_on_the_end_of_either_side() {
    let (redis, proxy) = pair();
    let mut staying = connect(&proxy);
    staying.command(&["PING"]).unwrap();
    let mut leaving = connect(&proxy);
    leaving.command(&["PING"]).unwrap();
    drop(leaving);
    eventually("the server saw it leave", LIMIT, || {
        // The connection that stays, and the one that asks.
        redis
            .command(&["CLIENT", "LIST"])
            .text()
            .unwrap()
            .lines()
            .count()
            == 2
    });
    eventually("so did the proxy", LIMIT, || proxy.connections() == 1);

    redis.kill();
    assert!(has_ended(&mut staying));
    assert!(has_ended(&mut connect(&proxy)));
    redis.restart();
    assert!(connect(&proxy).command(&["PING"]).is_ok());
}

#[test]
fn leads_new_connections_to_another_server() {
    let (one, proxy) = pair();
    let other = RedisServer::start();
    let mut old = connect(&proxy);
    old.command(&["PING"]).unwrap();
    proxy.redirect(other.addr());
    let mut new = connect(&proxy);
    assert!(new.command(&["SET", "k", "new"]).unwrap().is_ok());
    assert!(old.command(&["SET", "k", "old"]).unwrap().is_ok());
    for (server, value) in [(&one, "old"), (&other, "new")] {
        let found = server.command(&["GET", "k"]).text();
        assert_eq!(found.as_deref(), Some(value));
    }
}

#[tokio::test]
async fn serves_a_test_on_a_single_thread() {
    let (_redis, proxy) = pair();
    let held = proxy.on_next(Command::named("PING"), Trick::HoldAnswer);
    let addr = proxy.addr();
    let asking = tokio::task::spawn_blocking(move || {
        Connection::open(addr, LIMIT).and_then(|mut client| client.command(&["PING"]))
    });
    held.sprung().await;
    assert!(!asking.is_finished());
    held.release();
    eventually_async("the answer came", LIMIT, || asking.is_finished()).await;
    assert_eq!(asking.await.unwrap().unwrap().text().unwrap(), "PONG");
}
