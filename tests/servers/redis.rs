//! A server that is started, asked, broken and brought back.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use cache_kit_tests::servers::{
    Connection, Process, RedisServer, Reply, eventually, find_on_path, is_alive, room,
};

const SOON: Duration = Duration::from_millis(200);
const LIMIT: Duration = Duration::from_secs(10);

fn bulk(text: &str) -> Reply {
    Reply::Bulk(text.into())
}

#[test]
fn answers_commands() {
    let redis = RedisServer::start();
    assert!(redis.is_up());
    assert!(redis.command(&["SET", "k", "v"]).is_ok());
    assert_eq!(redis.command(&["GET", "k"]), bulk("v"));
    assert_eq!(redis.command(&["GET", "none"]), Reply::Null);
    assert_eq!(redis.command(&["INCR", "n"]).integer(), Some(1));
    assert_eq!(
        redis
            .command(&[b"SET".as_slice(), b"\r\n\0", b"\xff"])
            .text(),
        Some("OK".into())
    );
    assert!(
        redis
            .command(&["NOSUCH"])
            .error()
            .unwrap()
            .starts_with("ERR")
    );
    redis.flush();
    assert_eq!(redis.command(&["DBSIZE"]).integer(), Some(0));
    assert_eq!(redis.url(), format!("redis://127.0.0.1:{}", redis.port()));
    assert_ne!(redis.port(), 6379);
}

#[test]
fn keeps_nothing_on_disk() {
    let redis = RedisServer::start();
    assert_eq!(
        redis.command(&["CONFIG", "GET", "save"]),
        Reply::Array(vec![bulk("save"), bulk("")])
    );
    assert_eq!(
        redis.command(&["CONFIG", "GET", "appendonly"]),
        Reply::Array(vec![bulk("appendonly"), bulk("no")])
    );
}

#[test]
fn two_at_once_are_two() {
    let (one, other) = (RedisServer::start(), RedisServer::start());
    assert_ne!(one.port(), other.port());
    assert_ne!(one.process().room(), other.process().room());
    assert!(one.command(&["SET", "k", "v"]).is_ok());
    assert_eq!(other.command(&["EXISTS", "k"]).integer(), Some(0));
}

#[test]
fn a_killed_one_refuses_and_comes_back_empty_on_its_port() {
    let redis = RedisServer::start();
    let (port, pid) = (redis.port(), redis.process().pid().unwrap());
    assert!(redis.command(&["SET", "k", "v"]).is_ok());

    redis.kill();
    assert!(!redis.is_up());
    assert!(!is_alive(pid));
    let refused = Connection::open(redis.addr(), LIMIT).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    redis.kill();

    redis.restart();
    assert_eq!(redis.port(), port);
    assert_ne!(redis.process().pid(), Some(pid));
    assert_eq!(redis.command(&["DBSIZE"]).integer(), Some(0));
    redis.restart();
    assert!(redis.is_up());
}

#[test]
fn one_that_ends_by_itself_is_not_running() {
    let redis = RedisServer::start();
    let mut connection = redis.connect(LIMIT).unwrap();
    connection.send(&["SHUTDOWN", "NOSAVE"]).unwrap();
    eventually("the server is down", LIMIT, || {
        !redis.process().is_running()
    });
    assert!(!redis.is_up());
    redis.restart();
    assert!(redis.is_up());
}

#[test]
fn a_stopped_one_accepts_and_is_silent_until_it_goes_on() {
    let redis = RedisServer::start();
    redis.stop();
    let mut connection = Connection::open(redis.addr(), SOON).unwrap();
    let silent = connection.command(&["INCR", "n"]).unwrap_err();
    assert!(matches!(
        silent.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
    assert!(!redis.is_up());
    redis.stop();

    redis.cont();
    connection.set_limit(LIMIT).unwrap();
    assert_eq!(connection.receive().unwrap(), Reply::Integer(1));
    assert!(redis.is_up());
}

#[test]
fn a_stopped_one_can_be_killed_and_restarted() {
    let redis = RedisServer::start();
    redis.stop();
    redis.restart();
    assert!(redis.is_up());
    redis.stop();
    redis.kill();
    assert!(catch_unwind(AssertUnwindSafe(|| redis.cont())).is_err());
}

#[test]
fn asks_for_its_password() {
    let redis = RedisServer::options().password("s3cret/@: é").start();
    assert!(redis.command(&["PING"]).error().is_none());
    assert_eq!(
        redis.url(),
        format!(
            "redis://:s3cret%2F%40%3A%20%C3%A9@127.0.0.1:{}",
            redis.port()
        )
    );
    let mut stranger = Connection::open(redis.addr(), LIMIT).unwrap();
    assert!(
        stranger
            .command(&["PING"])
            .unwrap()
            .error()
            .unwrap()
            .starts_with("NOAUTH")
    );
    redis.restart();
    assert!(redis.is_up());
}

#[test]
fn listens_on_its_unix_socket() {
    let redis = RedisServer::options().unix_socket().start();
    let mut stream = UnixStream::connect(redis.socket()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

#[test]
fn runs_out_of_memory_when_it_shall() {
    let redis = RedisServer::options()
        .max_memory(1, "noeviction")
        .args(["--databases", "3"])
        .start();
    let refused = redis.command(&["SET", "k", "v"]);
    assert!(refused.error().unwrap().starts_with("OOM"), "{refused:?}");
    assert_eq!(redis.command(&["DEL", "k"]).integer(), Some(0));
    assert!(redis.command(&["SELECT", "3"]).error().is_some());
}

#[test]
fn a_replica_has_the_keys_and_refuses_writes() {
    let master = RedisServer::options().password("m").start();
    let replica = RedisServer::options().password("r").start();
    assert!(master.command(&["SET", "k", "v"]).is_ok());

    replica.become_replica_of(&master);
    assert_eq!(replica.command(&["GET", "k"]), bulk("v"));
    assert!(
        replica
            .command(&["DEL", "k"])
            .error()
            .unwrap()
            .starts_with("READONLY")
    );

    replica.become_master();
    assert_eq!(replica.command(&["DEL", "k"]).integer(), Some(1));
}

#[test]
fn counts_commands() {
    let redis = RedisServer::start();
    redis.command(&["GET", "k"]);
    redis.reset_stats();
    redis.command(&["GET", "k"]);
    redis.command(&["GET", "k"]);
    redis.command(&["CLIENT", "SETINFO", "LIB-NAME", "x"]);
    redis.command(&["CLIENT", "ID"]);
    let stats = redis.commandstats();
    assert_eq!(stats.get("get"), Some(&2));
    assert_eq!(stats.get("client|id"), Some(&1));
    assert_eq!(stats.get("set"), None);
}

#[test]
fn one_that_does_not_start_shows_what_it_printed() {
    let failed = catch_unwind(|| {
        RedisServer::options()
            .args(["--no-such-setting", "1"])
            .start()
    });
    let message = failed.unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert!(message.contains("no-such-setting"), "{message}");
}

#[test]
fn another_server_on_its_port_is_not_this_one() {
    let redis = RedisServer::start();
    let mut connection = redis.connect(LIMIT).unwrap();
    connection.send(&["SHUTDOWN", "NOSAVE"]).unwrap();
    eventually("it is down", LIMIT, || !redis.process().is_running());
    let program = find_on_path("redis-server", "redis-server");
    let port = redis.port().to_string();
    let other = Process::start(&program, ["--port", &port, "--save", ""], room("other"));
    eventually("the other one answers", LIMIT, || {
        redis
            .connect(LIMIT)
            .is_ok_and(|mut client| client.command(&["PING"]).is_ok())
    });
    assert!(!redis.is_up());
    drop(other);
    redis.restart();
    assert!(redis.is_up());
}

#[test]
fn a_taken_port_makes_it_try_another_one() {
    let first = RedisServer::start();
    let port = first.port().to_string();
    // The argument overrides every port that is tried.
    let failed = catch_unwind(|| RedisServer::options().args(["--port", &port]).start());
    let message = failed.unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert!(message.contains("ports taken"), "{message}");
    assert!(first.is_up());
}

#[test]
fn nothing_is_left_of_a_dropped_one() {
    let redis = RedisServer::start();
    let (addr, room) = (redis.addr(), redis.process().room().to_owned());
    let pid = redis.process().pid().unwrap();
    redis.stop();
    assert!(room.exists());
    drop(redis);
    assert!(!is_alive(pid));
    assert!(!room.exists());
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn nothing_is_left_after_a_panic() {
    let mut left = None;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let redis = RedisServer::start();
        left = Some((
            redis.process().pid().unwrap(),
            redis.process().room().to_owned(),
        ));
        redis.stop();
        panic!("as a failing test does");
    }));
    assert!(panicked.is_err());
    let (pid, room) = left.unwrap();
    assert!(!is_alive(pid));
    assert!(!room.exists());
}
