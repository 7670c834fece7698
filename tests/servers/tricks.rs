//! Tricks on one command or its answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use cache_kit_tests::servers::{Command, Reply, Trick, eventually};

use super::proxy::{LIMIT, connect, has_ended, is_silent, pair};

#[test]
fn a_dropped_command_takes_the_rest_along() {
    let (redis, proxy) = pair();
    let mut client = connect(&proxy);
    let mut other = connect(&proxy);
    let dropped = proxy.on_next(Command::named("SET"), Trick::DropCommand);
    client.send(&["INCR", "n"]).unwrap();
    client.send(&["SET", "k", "v"]).unwrap();
    client.send(&["INCR", "n"]).unwrap();
    assert_eq!(client.receive().unwrap(), Reply::Integer(1));
    dropped.wait();
    assert!(is_silent(&mut client));
    eventually("all were seen", LIMIT, || proxy.seen("INCR") == 2);
    assert_eq!(redis.command(&["EXISTS", "k"]).integer(), Some(0));
    assert_eq!(redis.command(&["GET", "n"]).text().unwrap(), "1");
    assert!(other.command(&["SET", "k", "v"]).unwrap().is_ok());
}

#[test]
fn a_dropped_answer_leaves_its_effect() {
    let (redis, proxy) = pair();
    let mut client = connect(&proxy);
    let dropped = proxy.on_next(|command| command.has_arg("b"), Trick::DropAnswer);
    client.send(&["INCR", "a"]).unwrap();
    client.send(&["INCR", "b"]).unwrap();
    client.send(&["INCR", "c"]).unwrap();
    dropped.wait();
    assert_eq!(redis.command(&["GET", "b"]).text().unwrap(), "1");
    assert_eq!(client.receive().unwrap(), Reply::Integer(1));
    assert!(is_silent(&mut client));
    eventually("what comes later has its effect", LIMIT, || {
        redis.command(&["EXISTS", "c"]).integer() == Some(1)
    });
    redis.kill();
    assert!(is_silent(&mut client));
    drop(client);
    eventually("a silent connection ends with its client", LIMIT, || {
        proxy.connections() == 0
    });
}

#[test]
fn a_cut_command_has_no_effect() {
    let (redis, proxy) = pair();
    let mut client = connect(&proxy);
    let cut = proxy.on_next(Command::named("SET"), Trick::CutCommand);
    assert!(client.command(&["PING"]).is_ok());
    client.send(&["SET", "k", "v"]).unwrap();
    assert!(has_ended(&mut client));
    assert!(cut.has_sprung());
    assert_eq!(redis.command(&["EXISTS", "k"]).integer(), Some(0));
}

#[test]
fn an_answer_is_cut_where_it_shall_be() {
    let (redis, proxy) = pair();
    let answer = b"$5\r\nvalue\r\n";
    redis.command(&["SET", "k", "value"]);
    for after in 0..answer.len() {
        let mut client = connect(&proxy);
        let cut = proxy.on_next(Command::named("GET"), Trick::CutAnswer(after));
        client.send(&["PING"]).unwrap();
        client.send(&["GET", "k"]).unwrap();
        assert_eq!(client.receive().unwrap().text().unwrap(), "PONG");
        assert!(has_ended(&mut client));
        assert_eq!(client.unread(), &answer[..after]);
        assert!(cut.has_sprung());
    }
    let mut client = connect(&proxy);
    proxy.on_next(Command::named("GET"), Trick::CutAnswer(usize::MAX));
    assert_eq!(
        client.command(&["GET", "k"]).unwrap().text().unwrap(),
        "value"
    );
    assert!(has_ended(&mut client));
}

#[test]
fn a_held_command_arrives_late() {
    let (redis, proxy) = pair();
    let (mut late, mut other) = (connect(&proxy), connect(&proxy));
    let held = proxy.on_next(Command::named("SET"), Trick::HoldCommand);
    late.send(&["SET", "k", "late"]).unwrap();
    late.send(&["GET", "k"]).unwrap();
    held.wait();
    assert!(other.command(&["SET", "k", "early"]).unwrap().is_ok());
    assert!(is_silent(&mut late));
    assert_eq!(redis.command(&["GET", "k"]).text().unwrap(), "early");
    held.release();
    assert!(late.receive().unwrap().is_ok());
    assert_eq!(late.receive().unwrap().text().unwrap(), "late");
}

#[test]
fn a_held_command_of_a_cut_connection_never_arrives() {
    let (redis, proxy) = pair();
    let mut client = connect(&proxy);
    let held = proxy.on_next(Command::named("SET"), Trick::HoldCommand);
    client.send(&["SET", "k", "v"]).unwrap();
    held.wait();
    proxy.cut();
    held.release();
    assert!(has_ended(&mut client));
    drop(proxy);
    assert_eq!(redis.command(&["EXISTS", "k"]).integer(), Some(0));
}

#[test]
fn a_held_answer_is_late_and_what_is_behind_it() {
    let (redis, proxy) = pair();
    let (mut late, mut other) = (connect(&proxy), connect(&proxy));
    let held = proxy.on_next(Command::named("SET"), Trick::HoldAnswer);
    assert!(!held.has_sprung());
    late.send(&["PING"]).unwrap();
    late.send(&["SET", "k", "v"]).unwrap();
    late.send(&["GET", "k"]).unwrap();
    held.wait();
    assert_eq!(redis.command(&["GET", "k"]).text().unwrap(), "v");
    assert_eq!(late.receive().unwrap().text().unwrap(), "PONG");
    assert!(is_silent(&mut late));
    assert!(other.command(&["SET", "k", "w"]).unwrap().is_ok());
    proxy.release();
    assert!(late.receive().unwrap().is_ok());
    assert!(late.receive().unwrap().text().is_some());
}

#[test]
fn an_answer_can_be_late_alone() {
    let (_redis, proxy) = pair();
    let mut client = connect(&proxy);
    let late = Duration::from_millis(500);
    proxy.on_next(Command::named("GET"), Trick::DelayAnswer(late));
    let start = Instant::now();
    client.command(&["GET", "k"]).unwrap();
    assert!(start.elapsed() >= late);
    let start = Instant::now();
    client.command(&["GET", "k"]).unwrap();
    assert!(start.elapsed() < late);
}

#[test]
fn an_answer_can_be_another_one() {
    let (redis, proxy) = pair();
    let mut client = connect(&proxy);
    proxy.on_next(
        Command::named("SET"),
        Trick::ReplaceAnswer(b"-READONLY no\r\n".into()),
    );
    let refused = client.command(&["SET", "k", "v"]).unwrap();
    assert_eq!(refused.error(), Some("READONLY no"));
    assert_eq!(redis.command(&["GET", "k"]).text().unwrap(), "v");
    assert!(client.command(&["SET", "k", "w"]).unwrap().is_ok());
}

#[test]
fn every_trap_catches_one_and_the_oldest_first() {
    let (_redis, proxy) = pair();
    let mut client = connect(&proxy);
    let traps = ["+one\r\n", "+two\r\n"]
        .map(|answer| proxy.on_next(Command::named("PING"), Trick::ReplaceAnswer(answer.into())));
    for expected in ["one", "two", "PONG"] {
        assert_eq!(client.command(&["PING"]).unwrap().text().unwrap(), expected);
    }
    assert!(traps.iter().all(|trap| trap.has_sprung()));
}

#[test]
fn to_release_all_spares_traps_that_wait() {
    let (_redis, proxy) = pair();
    let mut client = connect(&proxy);
    let waiting = proxy.on_next(Command::named("GET"), Trick::HoldAnswer);
    proxy.release();
    client.send(&["GET", "k"]).unwrap();
    waiting.wait();
    assert!(is_silent(&mut client));
    proxy.pass();
    assert_eq!(client.receive().unwrap(), Reply::Null);
}

#[test]
fn passing_again_forgets_traps() {
    let (_redis, proxy) = pair();
    let forgotten = proxy.on_next(Command::named("PING"), Trick::DropCommand);
    proxy.pass();
    assert!(connect(&proxy).command(&["PING"]).is_ok());
    assert!(!forgotten.has_sprung());
}

#[test]
fn what_is_no_resp_fails_the_test() {
    let (_redis, proxy) = pair();
    let mut client = connect(&proxy);
    client.send_raw(b"*1\r\n:1\r\n").unwrap();
    assert!(has_ended(&mut client));
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(proxy)));
    let message = dropped.unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert!(
        message.contains("a client sent a malformed frame"),
        "{message}"
    );
}

#[test]
fn a_predicate_that_panics_fails_the_test() {
    let (_redis, proxy) = pair();
    let mut client = connect(&proxy);
    proxy.on_next(|_| panic!("on purpose"), Trick::DropCommand);
    client.send(&["PING"]).unwrap();
    assert!(is_silent(&mut client));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(proxy))).is_err());
}

#[test]
fn a_translated_command_has_the_answer_to_its_translation() {
    let (redis, proxy) = pair();
    let mut client = connect(&proxy);
    proxy.translate(|command| {
        let instead = || Command::encode(&["INCRBY", "n", "7"]);
        command.is("INCR").then(instead)
    });
    assert_eq!(client.command(&["INCR", "n"]).unwrap(), Reply::Integer(7));
    assert!(client.command(&["SET", "k", "v"]).unwrap().is_ok());
    assert_eq!(redis.command(&["GET", "n"]).text().unwrap(), "7");
    assert_eq!((proxy.seen("INCR"), proxy.seen("INCRBY")), (1, 0));
}
