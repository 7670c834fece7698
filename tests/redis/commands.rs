//! Which commands a server gets: newer ones where it knows them, and scripts everywhere else.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_kit::CacheStrategy::{Invalidate, Refresh};
use cache_kit::backend::{
    ByteStore, Claim, HEAD_BYTES, HEAD_PREFIXES, RedisBackend, RedisStore, is_head,
};
use cache_kit::observability::StoreResult;
use cache_kit::{CacheExpander, Error};
use cache_kit_tests::Gated;
use cache_kit_tests::calls::is_hit;
use cache_kit_tests::servers::{Command, Proxy, RELEASES, RedisServer, Release};

use super::{PATIENCE, Service, call, config, scene, service};

const LIFETIME: Duration = Duration::from_secs(60);

/// What went over the wire, without values.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// What was sent since the last time.
    fn sent(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn note(&self, command: &Command) {
        let named = |option: &Vec<u8>| {
            let options = ["NX", "IFEQ", "GET", "LOAD"];
            options.into_iter().find(|known| option == known.as_bytes())
        };
        let options = command.args().iter().filter_map(named);
        let words: Vec<&str> = [command.name()].into_iter().chain(options).collect();
        if !["HELLO", "CLIENT"].contains(&command.name()) {
            self.0.lock().unwrap().push(words.join(" "));
        }
    }
}

/// A proxy in front of another one that notes what passes.
fn watch(front: &Proxy) -> (Proxy, Log) {
    let (proxy, log) = (Proxy::in_front_of(front.addr()), Log::default());
    let ours = log.clone();
    proxy.translate(move |command| {
        ours.note(command);
        None
    });
    (proxy, log)
}

/// Calls whose load fails, so that the lease is given up.
async fn give_up(service: &Service, database: &Gated, id: &str) {
    database.fail(Some(Error::RepositoryError("on purpose".into())));
    assert!(call(service, database, id, Refresh).await.is_err());
    database.fail(None);
}

async fn stores(service: &Service, database: &Gated, id: &str) {
    database.set(id, 1);
    let (outcome, _) = call(service, database, id, Refresh).await.unwrap();
    assert_eq!(outcome.store(), StoreResult::Stored, "{id}");
    assert!(is_hit(service, database, id).await, "{id}");
}

fn exists(server: &RedisServer, key: &str) -> bool {
    server.command(&["EXISTS", key]).integer() == Some(1)
}

/// What a miss sends, and a release, once it is known what the server knows.
fn expected(release: Release) -> ([&'static str; 3], &'static str) {
    let script = "EVALSHA";
    let (claim, compare) = ("SET NX GET", "SET IFEQ GET");
    match release {
        Release::Redis6 => (["GET", script, script], script),
        Release::Redis7 => (["GET", claim, script], script),
        Release::Redis8 => (["GET", claim, compare], "DELEX IFEQ"),
        Release::Valkey8 => (["GET", claim, compare], script),
        Release::Valkey9 => (["GET", claim, compare], "DELIFEQ"),
    }
}

#[tokio::test]
async fn a_command_where_the_server_knows_one_and_a_script_elsewhere() {
    for release in RELEASES {
        let (server, database) = scene();
        let front = release.in_front_of(&server);
        let (proxy, log) = watch(&front);
        let service = service(&server.url_through(&proxy));
        stores(&service, &database, "first").await;
        stores(&service, &database, "second").await;
        give_up(&service, &database, "third").await;
        // Each newer command is tried once, and its script is sent where it is unknown.
        let sent = log.sent();
        let tries = |command: &str| sent.iter().filter(|sent| *sent == command).count();
        let (miss, release_by) = expected(release);
        for newer in ["SET NX GET", "SET IFEQ GET", "DELEX", "DELIFEQ"] {
            let known = miss.contains(&newer) || release_by == newer;
            assert!(known || tries(newer) <= 1, "{release:?}: {sent:?}");
        }

        database.set("k", 1);
        call(&service, &database, "k", Refresh).await.unwrap();
        assert_eq!(log.sent(), miss, "{release:?}");
        give_up(&service, &database, "gone").await;
        assert_eq!(log.sent(), [miss[0], miss[1], release_by], "{release:?}");
        assert!(!exists(&server, "row:gone"), "{release:?}");
    }
}

#[tokio::test]
async fn what_is_foreign_is_overwritten_by_a_script() {
    for release in RELEASES {
        let (server, database) = scene();
        let front = release.in_front_of(&server);
        let (proxy, log) = watch(&front);
        let service = service(&server.url_through(&proxy));
        stores(&service, &database, "first").await;
        stores(&service, &database, "second").await;
        server.command(&["SET", "row:text", "foreign"]);
        server.command(&["SET", "row:empty", ""]);
        server.command(&["LPUSH", "row:list", "a", "b"]);
        for id in ["text", "empty", "list"] {
            log.sent();
            stores(&service, &database, id).await;
            let (miss, _) = expected(release);
            if miss[1] == "SET NX GET" {
                assert_eq!(log.sent()[..3], ["GET", "SET NX GET", "EVALSHA"], "{id}");
            }
        }
    }
}

/// A value with a head, of any length.
fn value(fill: u8, length: usize) -> Vec<u8> {
    let mut value = vec![fill; length];
    value[..5].copy_from_slice(&HEAD_PREFIXES[0]);
    assert!(is_head(&value));
    value
}

async fn claimed(store: &RedisStore, key: &str) -> (Option<Vec<u8>>, Vec<u8>) {
    let mut placeholder = vec![7; 32];
    placeholder[..5].copy_from_slice(&HEAD_PREFIXES[1]);
    match store.claim(key, &placeholder, LIFETIME).await.unwrap() {
        Claim::Taken(token) => (None, token),
        Claim::Standing { head, token } => (Some(head), token),
    }
}

#[tokio::test]
async fn a_token_is_compared_with_a_whole_value_or_with_a_head() {
    for release in RELEASES {
        let server = RedisServer::start();
        let front = release.in_front_of(&server);
        let backend = RedisBackend::new(config(&server.url_through(&front))).unwrap();
        let store = backend.byte_store();
        // A placeholder, as after every miss.
        let (none, token) = claimed(store, "k").await;
        assert_eq!(none, None);
        let (new, other) = (value(1, 500), value(2, 500));
        let set = async |token: &Vec<u8>, value: &[u8]| {
            let lifetime = Some(LIFETIME);
            let set = store.compare_and_set("k", token, value, lifetime).await;
            set.unwrap()
        };
        let remove = async |token: &Vec<u8>| store.compare_and_delete("k", token).await.unwrap();
        assert!(set(&token, &new).await, "{release:?}");
        // A second copy of the command finds what the first one did.
        assert!(set(&token, &new).await, "{release:?}");
        assert!(!set(&token, &other).await, "{release:?}");
        assert!(!remove(&token).await, "{release:?}");

        for length in [6, HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 1, 100_000] {
            let what = format!("{release:?}, {length}");
            let old = value(3, length);
            server.command(&[b"SET".as_slice(), b"k", &old]);
            let (head, token) = claimed(store, "k").await;
            assert_eq!(head.unwrap(), old[..length.min(HEAD_BYTES)], "{what}");
            assert!(!set(&value(4, length), &new).await, "{what}");
            assert!(!remove(&value(4, length)).await, "{what}");
            assert!(set(&token, &new).await, "{what}");
            assert!(!remove(&token).await, "{what}");

            server.command(&[b"SET".as_slice(), b"k", &old]);
            assert!(remove(&token).await, "{what}");
            assert!(!exists(&server, "k"), "{what}");
            assert!(!set(&token, &new).await, "{what}: nothing is there");
            assert!(!remove(&token).await, "{what}: nothing is there");
        }
        // A value that is only longer than the token is another one.
        server.command(&[b"SET".as_slice(), b"k", &value(5, 60)]);
        assert!(!set(&value(5, 50), &new).await, "{release:?}");
        for foreign in [&["SET", "k", ""][..], &["LPUSH", "k", "a"]] {
            server.command(&["DEL", "k"]);
            server.command(foreign);
            for token in [Vec::new(), value(5, 50), value(5, HEAD_BYTES)] {
                assert!(!set(&token, &new).await, "{release:?}, {foreign:?}");
                assert!(!remove(&token).await, "{release:?}, {foreign:?}");
            }
        }
        // Without a lifetime it stays.
        server.command(&["DEL", "k"]);
        let (_, token) = claimed(store, "k").await;
        let set = store.compare_and_set("k", &token, &new, None).await;
        assert!(set.unwrap(), "{release:?}");
        assert_eq!(server.command(&["PTTL", "k"]).integer(), Some(-1));
    }
}

#[tokio::test]
async fn another_release_behind_the_same_address_is_found_out() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    for (first, then) in [
        (Release::Redis8, Release::Redis6),
        (Release::Redis8, Release::Valkey9),
        (Release::Valkey9, Release::Redis8),
        (Release::Redis6, Release::Redis8),
    ] {
        let database = Gated::open();
        let (before, after) = (first.in_front_of(&old), then.in_front_of(&new));
        let (address, log) = watch(&before);
        let service = service(&old.url_through(&address));
        for id in ["a", "b"] {
            stores(&service, &database, id).await;
        }
        give_up(&service, &database, "c").await;
        address.redirect(after.addr());
        address.cut();
        for id in ["d", "e"] {
            stores(&service, &database, id).await;
        }
        give_up(&service, &database, "f").await;
        assert!(!exists(&new, "row:f"), "{first:?}, {then:?}");
        let (miss, release_by) = expected(then);
        log.sent();
        give_up(&service, &database, "g").await;
        assert_eq!(
            log.sent(),
            [miss[0], miss[1], release_by],
            "{first:?}, {then:?}"
        );
        old.flush();
        new.flush();
    }
}

/// A service of a user with these rights.
fn restricted(server: &RedisServer, proxy: &Proxy, rights: &[&str]) -> Service {
    allow(server, rights);
    let url = format!("redis://app:pw@127.0.0.1:{}", proxy.port());
    let config = config(&url).set(|encoded| encoded.with_operation_deadline(PATIENCE));
    CacheExpander::new(RedisBackend::new(config).unwrap()).into()
}

fn allow(server: &RedisServer, rights: &[&str]) {
    let words = [
        &["ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all"],
        rights,
    ]
    .concat();
    assert!(server.command(&words).is_ok());
}

/// It could neither store nor give its lease up, and others would wait for its placeholder.
#[tokio::test]
async fn a_user_without_scripts_leaves_no_placeholder() {
    for release in [Release::Redis6, Release::Redis7] {
        for rights in [&["-evalsha"][..], &["-script"]] {
            let (server, database) = scene();
            let front = release.in_front_of(&server);
            let service = restricted(&server, &front, rights);
            for _ in 0..3 {
                let (outcome, seen) = call(&service, &database, "k", Refresh).await.unwrap();
                assert_ne!(outcome.store(), StoreResult::Stored);
                assert_eq!(seen, Some(1));
                assert!(!exists(&server, "row:k"), "{release:?} {rights:?}");
            }
            let said = service.backend().health().last_refusal.unwrap();
            assert!(said.contains("NOPERM for"), "{said}");
            // With the rights, the same connection does it.
            allow(&server, &[]);
            stores(&service, &database, "k").await;
            // Without them again, at most one placeholder is left.
            allow(&server, &["-evalsha"]);
            for id in ["a", "b", "c"] {
                database.set(id, 1);
                call(&service, &database, id, Refresh).await.unwrap();
            }
            let left = ["row:a", "row:b", "row:c"].map(|key| exists(&server, key));
            assert_eq!(left[1..], [false, false], "{release:?} {rights:?}");
        }
    }
}

#[tokio::test]
async fn a_user_without_scripts_needs_none_on_a_newer_server() {
    for release in [Release::Redis8, Release::Valkey9] {
        let (server, database) = scene();
        let front = release.in_front_of(&server);
        let (proxy, log) = watch(&front);
        let service = restricted(&server, &proxy, &["-evalsha", "-script"]);
        stores(&service, &database, "k").await;
        let sent = log.sent();
        let question = [
            "GET",
            "EVALSHA",
            "SET IFEQ GET",
            "SET NX GET",
            "SET IFEQ GET",
            "GET",
        ];
        assert_eq!(sent, question, "{release:?}");
        stores(&service, &database, "l").await;
        let (miss, _) = expected(release);
        assert_eq!(log.sent()[..3], miss, "{release:?}");
        give_up(&service, &database, "m").await;
        assert!(!exists(&server, "row:m"), "{release:?}");
        database.set("k", 2);
        let (outcome, seen) = call(&service, &database, "k", Invalidate).await.unwrap();
        assert_eq!((outcome.store(), seen), (StoreResult::Stored, Some(2)));
    }
}

/// The right to `DELEX` is another one than that to `DEL`.
#[tokio::test]
async fn a_release_is_a_script_where_the_user_may_not_send_the_command() {
    let (server, database) = scene();
    let front = Release::Redis8.in_front_of(&server);
    let proxy = Proxy::in_front_of(front.addr());
    proxy.translate(|command| {
        let refused = || Command::encode(&["CONFIG", "GET", "port"]);
        (command.is("DELEX") && !command.args().is_empty()).then(refused)
    });
    let service = restricted(&server, &proxy, &["-config"]);
    for id in ["a", "b", "c"] {
        give_up(&service, &database, id).await;
        assert!(!exists(&server, &format!("row:{id}")), "{id}");
        stores(&service, &database, id).await;
    }
    assert_eq!(service.backend().health().last_refusal, None);
    // Once without arguments, and once with them.
    assert_eq!(proxy.seen("DELEX"), 2);
}
