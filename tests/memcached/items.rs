//! The items on the server: their keys, lifetimes and sizes.

use std::time::Duration;

use cache_kit::CacheStrategy::Refresh;
use cache_kit::backend::{CacheBackend, Lookup};
use cache_kit::observability::StoreResult;
use cache_kit::{CacheEntity, InMemoryRepository, OperationConfig, SharedFeeder};
use cache_kit_tests::servers::MemcachedServer;
use serde::{Deserialize, Serialize};

use super::{Service, service};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    id: String,
    text: String,
}

impl CacheEntity for Note {
    type Key = String;

    fn cache_key(&self) -> String {
        self.id.clone()
    }

    fn cache_prefix() -> &'static str {
        "note"
    }
}

pub fn notes<'n>(notes: impl IntoIterator<Item = (&'n str, usize)>) -> InMemoryRepository<Note> {
    let repository = InMemoryRepository::new();
    for (id, length) in notes {
        let note = Note {
            id: id.to_owned(),
            text: "x".repeat(length),
        };
        repository.insert(id.to_owned(), note);
    }
    repository
}

async fn read(
    service: &Service,
    notes: &InMemoryRepository<Note>,
    id: &str,
    config: OperationConfig,
) -> (cache_kit::Outcome, Option<Note>) {
    let mut feeder = SharedFeeder::<Note>::new(id.to_owned());
    let outcome = service
        .execute_with_config(&mut feeder, notes, Refresh, config)
        .await
        .unwrap();
    (outcome, feeder.entity.map(|note| Note::clone(&note)))
}

#[tokio::test]
async fn hostile_keys_are_only_keys() {
    let server = MemcachedServer::start();
    let service = service(&server.url());
    let long = "k".repeat(10_000);
    let longer = format!("{long}k");
    let hashed = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let hostile = [
        "x\r\nset pwned 0 0 3\r\nBAD",
        "x\r\nflush_all\r\n",
        "x 0 0 3\r\nBAD\r\n",
        "a b",
        "a\0b",
        "a\tb",
        "a  b",
        " ",
        "",
        "😀",
        "😀😀",
        "é",
        "e\u{301}",
        "%20",
        "a%20b",
        &long,
        &longer,
        hashed,
    ];
    let notes = notes(hostile.iter().enumerate().map(|(n, id)| (*id, n)));
    for id in hostile {
        let (outcome, _) = read(&service, &notes, id, OperationConfig::default()).await;
        assert_eq!(outcome.store(), StoreResult::Stored, "{id:?}");
    }
    for (n, id) in hostile.iter().enumerate() {
        let (outcome, note) = read(&service, &notes, id, OperationConfig::default()).await;
        let note = note.unwrap();
        assert!(outcome.is_hit(), "{id:?}");
        assert_eq!((note.id.as_str(), note.text.len()), (*id, n));
    }
    assert_eq!(server.ask(b"mg pwned v\r\n", "EN"), "EN\r\n");
    assert_eq!(server.stat("cmd_flush").as_deref(), Some("0"));
    let items: usize = server.stat("curr_items").unwrap().parse().unwrap();
    assert_eq!(items, hostile.len(), "a key of its own for each");
    for id in hostile {
        service.invalidate::<Note>(&id.to_owned()).await.unwrap();
    }
    assert_eq!(server.stat("curr_items").as_deref(), Some("0"));
}

/// The time to live that the server reports, in seconds; -1 is for ever.
fn told(server: &MemcachedServer, id: &str) -> i64 {
    let answer = server.ask(format!("mg note:{id} t\r\n").as_bytes(), "HD");
    answer
        .trim_end()
        .strip_prefix("HD t")
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn times_to_live_are_seconds_rounded_up_and_never_for_ever() {
    let server = MemcachedServer::start();
    let service = service(&server.url());
    let day = 86_400;
    for (id, ttl, expected) in [
        ("a", Duration::from_millis(1), 0..=2),
        ("b", Duration::from_millis(500), 0..=2),
        ("c", Duration::from_millis(1_001), 1..=3),
        ("d", Duration::from_secs(3_600), 3_590..=3_601),
        (
            "e",
            Duration::from_secs(30 * 86_400),
            30 * day - 10..=30 * day + 2,
        ),
        (
            "f",
            Duration::from_secs(40 * 86_400),
            40 * day - 10..=40 * day + 2,
        ),
        (
            "g",
            Duration::from_secs(4_000 * 86_400),
            3_000 * day..=4_001 * day,
        ),
        (
            "h",
            Duration::from_secs(u64::from(u32::MAX)),
            31 * day..=i64::MAX,
        ),
    ] {
        let notes = notes([(id, 1)]);
        let config = OperationConfig::default().with_ttl(ttl);
        let (outcome, _) = read(&service, &notes, id, config).await;
        if ttl > Duration::from_secs(1) {
            assert_eq!(outcome.store(), StoreResult::Stored, "{ttl:?}");
            let told = told(&server, id);
            assert!(expected.contains(&told), "{ttl:?}: {told} s");
        } else {
            // It may be gone by now; it must not be there for ever.
            let answer = server.ask(format!("mg note:{id} t\r\nmn\r\n").as_bytes(), "MN");
            assert!(!answer.contains("t-1"), "{ttl:?}: {answer}");
        }
    }
    // A lease, too: its load is never answered.
    let database = cache_kit_tests::Gated::closed();
    let slow = {
        let (service, database) = (service.clone(), database.clone());
        tokio::spawn(async move { super::call(&service, &database, "slow", Refresh).await })
    };
    database.entered(1).await;
    let answer = server.ask(b"mg row:slow t\r\n", "HD");
    let seconds: i64 = answer
        .trim_end()
        .strip_prefix("HD t")
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=11).contains(&seconds), "{seconds}");
    slow.abort();
}

#[tokio::test]
async fn an_entry_just_under_the_limit_is_stored_and_one_over_it_is_not_there() {
    let server = MemcachedServer::start();
    let service = service(&server.url());
    // The longest key that is its own form.
    let id = "k".repeat(245);
    let small = notes([(id.as_str(), 1 << 19)]);
    let (outcome, _) = read(&service, &small, &id, OperationConfig::default()).await;
    assert_eq!(outcome.store(), StoreResult::Stored);
    let mut stored = 0;
    for length in [(1 << 20) - 1_200, (1 << 20) - 512, 1 << 20, 5 << 20] {
        let notes = notes([(id.as_str(), length)]);
        let mut feeder = SharedFeeder::<Note>::new(id.clone());
        let outcome = service
            .execute(&mut feeder, &notes, cache_kit::CacheStrategy::Bypass)
            .await
            .unwrap();
        assert!(!outcome.degraded().any(), "{length}: {outcome:?}");
        let kept = outcome.store() == StoreResult::Stored;
        stored += usize::from(kept);
        assert!(kept || outcome.store() == StoreResult::TooLarge);
        let left = service.backend().server_of(&format!("note:{id}"));
        let left = left
            .get::<Note>(&format!("note:{id}"), now())
            .await
            .unwrap();
        let left = matches!(left, Lookup::Hit { .. });
        assert_eq!(left, kept, "{length}: neither the new one nor the old one");
    }
    assert_eq!(stored, 1, "the first of the four fits");
}

#[tokio::test]
async fn what_the_server_finds_too_large_is_not_stored_and_the_old_entry_gone() {
    let server = MemcachedServer::options().args(["-I", "512k"]).start();
    let service = service(&server.url());
    let small = notes([("a", 10)]);
    read(&service, &small, "a", OperationConfig::default()).await;
    let large = notes([("a", 700_000)]);
    let mut feeder = SharedFeeder::<Note>::new("a".to_owned());
    let outcome = service
        .execute(&mut feeder, &large, cache_kit::CacheStrategy::Bypass)
        .await
        .unwrap();
    assert_eq!(outcome.store(), StoreResult::TooLarge);
    assert!(!outcome.degraded().any(), "{outcome:?}");
    assert_eq!(feeder.entity.unwrap().text.len(), 700_000);
    assert_eq!(server.ask(b"mg note:a v\r\n", "EN"), "EN\r\n");
    let health = service.backend().health();
    assert!(
        health.available && health.last_error.is_none(),
        "{health:?}"
    );
}

#[tokio::test]
async fn a_server_that_numbers_no_items_is_said_and_never_written_over() {
    let server = MemcachedServer::options().args(["-C"]).start();
    let service = service(&server.url());
    let notes = notes([("a", 10)]);
    let (outcome, note) = read(&service, &notes, "a", OperationConfig::default()).await;
    assert!(note.is_some() && outcome.degraded().any(), "{outcome:?}");
    let error = service.backend().health().last_error.unwrap();
    assert!(error.contains("numbers no items"), "{error}");
}

/// A moment at which nothing has expired.
fn now() -> cache_kit::clock::Timestamp {
    cache_kit::clock::Clock::system().now()
}

#[tokio::test]
async fn keys_are_spread_over_the_servers_and_batches_come_back_in_order() {
    let servers: Vec<MemcachedServer> = (0..3).map(|_| MemcachedServer::start()).collect();
    let service = service(&MemcachedServer::url_of(&servers));
    let ids: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    let notes = notes(ids.iter().map(|id| (id.as_str(), 10)));
    for id in &ids {
        read(&service, &notes, id, OperationConfig::default()).await;
    }
    for server in &servers {
        let items: usize = server.stat("curr_items").unwrap().parse().unwrap();
        assert!((60..=140).contains(&items), "{items} of 300");
    }
    // Another list of the same servers in another order finds everything.
    let reversed: Vec<String> = servers.iter().rev().map(MemcachedServer::name).collect();
    let other = self::service(&format!("memcached://{}", reversed.join(",")));
    for id in &ids {
        let (outcome, _) = read(&other, &notes, id, OperationConfig::default()).await;
        assert!(outcome.is_hit(), "{id}");
    }
}
