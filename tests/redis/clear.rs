//! Dropping a type or a namespace on a real server: by small commands, on whatever connection, and with
//! the rights that its user has.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use cache_kit::CacheExpander;
use cache_kit::CacheStrategy::{Fresh, Refresh};
use cache_kit::backend::{ByteStore, Invalidated, RedisBackend, RedisStore, ScanCursor};
use cache_kit_tests::servers::{Command, Proxy, RedisServer, Trick};
use cache_kit_tests::{Gated, Row};

use super::{PATIENCE, Service, call, config, service, service_by_default};

/// A service with a namespace of its own.
fn within(namespace: &str, backend: &RedisBackend) -> Service {
    let expander = CacheExpander::new(backend.clone());
    expander.with_namespace(namespace).unwrap().into()
}

fn backend(url: &str) -> RedisBackend {
    let config = config(url).set(|encoded| encoded.with_operation_deadline(PATIENCE));
    RedisBackend::new(config).unwrap()
}

/// Puts `count` keys on a server, `{beginning}1` and so on.
fn populate(server: &RedisServer, beginning: &str, count: usize) {
    let script = "for n = 1, ARGV[2] do redis.call('SET', ARGV[1] .. n, 'v') end";
    let filled = server.command(&["EVAL", script, "0", beginning, &count.to_string()]);
    assert!(filled.error().is_none(), "{filled:?}");
}

fn keys(server: &RedisServer) -> i64 {
    server.command(&["DBSIZE"]).integer().unwrap()
}

/// With the default deadline, so that a command that kept the server busy would fail the readers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_keys_are_dropped_by_small_commands_while_others_read() {
    const KEYS: usize = 100_000;
    let server = RedisServer::start();
    let proxy = Proxy::in_front_of(server.addr());
    populate(&server, "blue:row:", KEYS);
    populate(&server, "blue:rows:", 5_000);
    populate(&server, "row:", 5_000);
    let reading = service_by_default(&server.url());
    let database = Gated::open();
    let ids: Vec<String> = (0..50).map(|n| format!("hot{n}")).collect();
    for id in &ids {
        database.set(id, 1);
        call(&reading, &database, id, Refresh).await.unwrap();
    }
    let (over, reads) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let reader = tokio::spawn({
        let (over, reads) = (Arc::clone(&over), Arc::clone(&reads));
        async move {
            while !over.load(Ordering::Acquire) {
                for id in &ids {
                    let (outcome, _) = call(&reading, &database, id, Fresh).await.unwrap();
                    assert!(outcome.is_hit(), "{outcome:?}");
                    reads.fetch_add(1, Ordering::AcqRel);
                }
            }
        }
    });

    // Every command, by its name and the number of its arguments.
    let sent = Arc::new(Mutex::new(Vec::<(String, usize)>::new()));
    let note = Arc::clone(&sent);
    proxy.translate(move |command: &Command| {
        let mut sent = note.lock().unwrap();
        sent.push((command.name().to_owned(), command.args().len()));
        None
    });
    let blue = within("blue", &backend(&server.url_through(&proxy)));
    let cleared = blue.clear::<Row>().await.unwrap();
    over.store(true, Ordering::Release);
    reader.await.unwrap();
    assert_eq!(cleared.keys, KEYS as u64);
    assert_eq!(cleared.invalidated, Invalidated::Done);
    assert_eq!(keys(&server), 5_000 + 5_000 + 50);
    assert!(reads.load(Ordering::Acquire) > 100, "{reads:?}");

    let sent = sent.lock().unwrap();
    let of = |name: &str| {
        sent.iter()
            .filter(|(sent, _)| sent == name)
            .collect::<Vec<_>>()
    };
    let most = |name: &str| of(name).iter().map(|(_, args)| *args).max().unwrap_or(0);
    let (scans, deletions) = (of("SCAN").len(), of("DEL").len());
    // About a thousand keys of the whole server at a time.
    assert!((100..=600).contains(&scans), "{scans} scans");
    assert!(
        most("DEL") <= RedisStore::MAX_KEYS_PER_COMMAND,
        "{}",
        most("DEL")
    );
    assert!(
        deletions >= KEYS / RedisStore::MAX_KEYS_PER_COMMAND,
        "{deletions}"
    );
    let names: HashSet<&str> = sent.iter().map(|(name, _)| name.as_str()).collect();
    for blocks in ["KEYS", "FLUSHDB", "FLUSHALL", "EVAL", "EVALSHA"] {
        assert!(!names.contains(blocks), "{names:?}");
    }
}

#[tokio::test]
async fn a_user_without_the_right_to_list_keys_is_told_which_it_needs() {
    let server = RedisServer::start();
    populate(&server, "row:", 10);
    for (rules, said) in [
        (&["~row:*", "+@all", "-scan"][..], "NOPERM for SCAN"),
        (&["~row:*", "+get", "+mget", "+ping"], "NOPERM for SCAN"),
    ] {
        let words = [&["ACL", "SETUSER", "app", "reset", "on", ">pw"], rules].concat();
        assert!(server.command(&words).is_ok());
        let url = format!("redis://app:pw@127.0.0.1:{}", server.port());
        let service = Service::new(backend(&url));
        let error = service.clear::<Row>().await.unwrap_err().to_string();
        assert!(
            error.contains("clear row:*") && error.contains(said),
            "{error}"
        );
        assert!(!error.contains("pw"), "{error}");
        let health = service.health();
        assert!(health.available, "{health:?}");
        assert!(health.last_refusal.unwrap().contains("SCAN"));
        assert_eq!(keys(&server), 10);
    }
}

#[tokio::test]
async fn keys_that_a_user_may_not_drop_are_pending() {
    let server = RedisServer::start();
    populate(&server, "row:", 10);
    populate(&server, "row:locked:", 5);
    let rules = ["ACL", "SETUSER", "app", "on", ">pw", "~row:locked", "+@all"];
    let own = (1..=10).map(|n| format!("~row:{n}"));
    let words: Vec<String> = rules.map(str::to_owned).into_iter().chain(own).collect();
    assert!(server.command(&words).is_ok());
    let url = format!("redis://app:pw@127.0.0.1:{}", server.port());
    let service = Service::new(backend(&url));
    let cleared = service.clear::<Row>().await.unwrap();
    assert_eq!(
        (cleared.keys, cleared.invalidated),
        (10, Invalidated::Pending)
    );
    assert_eq!(service.health().refused_invalidations, 5);
    assert_eq!(keys(&server), 5);
}

/// A cursor of the one server means nothing to the other.
#[tokio::test]
async fn a_walk_begins_anew_when_another_server_answers() {
    const KEYS: usize = 20_000;
    let (first, second) = (RedisServer::start(), RedisServer::start());
    for server in [&first, &second] {
        populate(server, "row:", KEYS);
    }
    let proxy = Proxy::in_front_of(first.addr());
    let service = service(&first.url_through(&proxy));
    let scans = Mutex::new(0);
    let seventh = move |command: &Command| {
        let mut scans = scans.lock().unwrap();
        *scans += usize::from(command.is("SCAN"));
        *scans == 7
    };
    let half_way = proxy.on_next(seventh, Trick::HoldCommand);
    let clear = tokio::spawn({
        let service = service.clone();
        async move { service.clear::<Row>().await }
    });
    half_way.sprung().await;
    // Connections through the proxy lead to the other server from now on.
    proxy.redirect(second.addr());
    proxy.cut();
    let cleared = clear.await.unwrap().unwrap();
    assert_eq!(cleared.invalidated, Invalidated::Done);
    assert_eq!(keys(&second), 0, "{cleared:?}");
    assert!(keys(&first) > 0, "it was left half-way");
}

#[tokio::test]
async fn a_lost_connection_costs_a_step_that_is_sent_again() {
    let server = RedisServer::start();
    populate(&server, "row:", 10_000);
    let proxy = Proxy::in_front_of(server.addr());
    let service = service(&server.url_through(&proxy));
    for trick in [Trick::CutCommand, Trick::CutAnswer(7)] {
        proxy.on_next(|command| command.is("SCAN"), trick);
    }
    // A step is sent once more, and not twice.
    let error = service.clear::<Row>().await.unwrap_err();
    assert!(
        error.is_retryable() && error.to_string().contains("clear row:*"),
        "{error}"
    );
    proxy.on_next(|command| command.is("SCAN"), Trick::CutAnswer(7));
    let cleared = service.clear::<Row>().await.unwrap();
    assert_eq!((cleared.keys, keys(&server)), (10_000, 0));
}

/// What a walk has met, and what it leads to if it is done by hand.
pub(crate) async fn walk(
    store: &RedisStore,
    mut between: impl AsyncFnMut(Option<&ScanCursor>),
) -> HashSet<String> {
    let mut met = HashSet::new();
    let mut cursor = None;
    loop {
        let step = store.scan("row:", cursor.as_ref()).await.unwrap();
        met.extend(step.keys);
        match step.next {
            None => return met,
            next => cursor = next,
        }
        between(cursor.as_ref()).await;
    }
}
