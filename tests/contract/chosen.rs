//! The backend that is chosen at run time: in a service as users write it, and with the type of its
//! store erased.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_kit::CacheStrategy::{Fresh, Invalidate, Refresh};
use cache_kit::backend::{
    AnyBackend, ByteStore, CacheBackend, Claim, Encoded, EncodedConfig, InMemoryBackend, LeaseId,
    LeaseRequest, Leased, Stored, Take,
};
use cache_kit::clock::Timestamp;
use cache_kit::entry::Entry;
use cache_kit::{CacheService, Error, Result, SharedFeeder, Source};
use cache_kit_tests::{Gated, Row, row};
use tokio::time::Instant;

use super::byte_store::MapStore;
use super::shelf::{Fate, Op, Shelf};

/// A service, as users write it.
struct App<B: CacheBackend = AnyBackend> {
    cache: CacheService<B>,
    database: Gated,
}

impl<B: CacheBackend> App<B> {
    fn new(backend: B) -> Self {
        let database = Gated::open();
        database.set("k", 1);
        Self {
            cache: CacheService::new(backend),
            database,
        }
    }

    async fn read(&self, strategy: cache_kit::CacheStrategy) -> (Source, Option<u64>) {
        let mut feeder = SharedFeeder::<Row>::new("k".to_owned());
        let outcome = self.cache.execute(&mut feeder, &self.database, strategy);
        let source = outcome.await.unwrap().source();
        (source, feeder.entity.map(|row| row.version))
    }
}

#[tokio::test]
async fn a_service_holds_whatever_its_variable_names() {
    let config = EncodedConfig::new();
    for (backend, kind) in [
        (AnyBackend::from_url("memory://").unwrap(), "memory"),
        (
            AnyBackend::from_url("memory://?engine=moka&capacity=10&ttl=5m").unwrap(),
            "memory",
        ),
        (AnyBackend::from(InMemoryBackend::new()), "memory"),
        (AnyBackend::custom(MapStore::default(), config), "custom"),
    ] {
        assert_eq!(backend.kind(), kind);
        assert_eq!(backend.as_memory().is_some(), kind == "memory");
        backend.ping().await.unwrap();
        assert!(backend.health().available);
        let app = App::new(backend);
        assert_eq!(app.read(Fresh).await, (Source::Nothing, None));
        assert_eq!(app.read(Refresh).await, (Source::Repository, Some(1)));
        assert_eq!(app.read(Refresh).await, (Source::Cache, Some(1)));
        app.database.set("k", 2);
        assert_eq!(app.read(Invalidate).await, (Source::Repository, Some(2)));
        assert_eq!(app.read(Fresh).await, (Source::Cache, Some(2)));
        app.cache.invalidate::<Row>(&"k".to_owned()).await.unwrap();
        assert_eq!(app.read(Fresh).await, (Source::Nothing, None));
    }
}

/// A server that is not there costs the service nothing but its cache, and no time at the start.
#[tokio::test]
async fn a_service_starts_while_its_server_is_away() {
    for url in [
        "redis://127.0.0.1:1?ttl=5m",
        "memcached://127.0.0.1:1?ttl=5m",
    ] {
        let app = App::new(AnyBackend::from_url(url).unwrap());
        assert_eq!(
            app.cache.backend().default_ttl(),
            Some(Duration::from_secs(300))
        );
        assert_eq!(app.read(Refresh).await, (Source::Repository, Some(1)));
        assert!(app.cache.backend().ping().await.is_err());
        assert!(app.cache.backend().health().last_error.is_some());
    }
}

/// A store whose constants are all unusual, and which counts how they are kept.
#[derive(Clone, Default)]
struct Narrow {
    inner: MapStore,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    single_gets: AtomicUsize,
    most_keys: AtomicUsize,
    admitted: AtomicUsize,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    /// After how many milliseconds each ping loses its connection; 0 is never.
    lost_after: AtomicUsize,
}

/// A place in the queue of the store.
struct Room<'s>(&'s Seen);

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ByteStore for Narrow {
    type Token = (Vec<u8>, u8);

    const NARROW_KEYS: bool = true;
    const MAX_SINGLE_GETS: usize = 1;
    const MAX_KEYS_PER_COMMAND: usize = 3;
    const MAX_COMMANDS_IN_FLIGHT: usize = 2;

    async fn admit(&self) -> Result<impl Send> {
        let seen = &*self.seen;
        seen.admitted.fetch_add(1, Ordering::Relaxed);
        let now = seen.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        seen.most_under_way.fetch_max(now, Ordering::Relaxed);
        let room = Room(seen);
        // Others that may be in flight get here, too.
        tokio::task::yield_now().await;
        Ok(room)
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.seen.single_gets.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        self.inner.get(key).await
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>>> {
        self.seen.most_keys.fetch_max(keys.len(), Ordering::Relaxed);
        self.inner.get_many(keys).await
    }

    async fn claim(&self, key: &str, mark: &[u8], life: Duration) -> Result<Claim<Self::Token>> {
        Ok(match self.inner.claim(key, mark, life).await? {
            Claim::Taken(token) => Claim::Taken((token, 1)),
            Claim::Standing { head, token } => Claim::Standing {
                head,
                token: (token, 1),
            },
        })
    }

    async fn compare_and_set(
        &self,
        key: &str,
        old: &Self::Token,
        new: &[u8],
        life: Option<Duration>,
    ) -> Result<bool> {
        self.inner.compare_and_set(key, &old.0, new, life).await
    }

    async fn compare_and_delete(&self, key: &str, old: &Self::Token) -> Result<bool> {
        self.inner.compare_and_delete(key, &old.0).await
    }

    async fn set(&self, key: &str, value: &[u8], life: Duration) -> Result<Option<Self::Token>> {
        let token = self.inner.set(key, value, life).await?;
        Ok(token.map(|token| (token, 1)))
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<()>> {
        self.seen.most_keys.fetch_max(keys.len(), Ordering::Relaxed);
        self.inner.delete_many(keys).await
    }

    async fn ping(&self) -> Result<()> {
        let after = self.seen.lost_after.load(Ordering::Relaxed);
        if after > 0 {
            tokio::time::sleep(Duration::from_millis(after as u64)).await;
            return Err(Error::ConnectionLost("told to".into()));
        }
        self.inner.ping().await
    }
}

const IDS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Stores rows, finds them, and looks them up by many callers at once.
async fn use_it<B: CacheBackend + Clone>(backend: &B) {
    let service = CacheService::new(backend.clone());
    let database = Gated::open();
    let mut feeders: Vec<_> = IDS
        .iter()
        .map(|id| {
            database.set(id, 7);
            SharedFeeder::<Row>::new((*id).to_owned())
        })
        .collect();
    for source in [Source::Repository, Source::Cache] {
        let outcomes = service.execute_many(&mut feeders[..], &database, Refresh);
        for outcome in outcomes.await.unwrap() {
            assert_eq!(outcome.source(), source);
        }
    }
    let reads = IDS.map(|id| {
        let (service, database) = (service.clone(), database.clone());
        tokio::spawn(async move {
            let mut feeder = SharedFeeder::<Row>::new(id.to_owned());
            let read = service.execute(&mut feeder, &database, Fresh).await;
            read.unwrap().is_hit()
        })
    });
    for read in reads {
        assert!(read.await.unwrap());
    }
}

/// What the store has seen: `get`s, the most keys of a command, commands, the most at a time.
fn counts(store: &Narrow) -> [usize; 4] {
    let seen = &*store.seen;
    [
        &seen.single_gets,
        &seen.most_keys,
        &seen.admitted,
        &seen.most_under_way,
    ]
    .map(|count| count.load(Ordering::Relaxed))
}

#[tokio::test]
async fn an_erased_store_keeps_to_its_own_constants_and_gets_the_same_commands() {
    let (fixed, erased) = (Narrow::default(), Narrow::default());
    let config = EncodedConfig::new();
    use_it(&Encoded::with_config(fixed.clone(), config.clone())).await;
    use_it(&AnyBackend::custom(erased.clone(), config)).await;
    assert_eq!(counts(&erased), counts(&fixed));
    let [single_gets, most_keys, ..] = counts(&erased);
    assert_eq!(most_keys, 3, "MAX_KEYS_PER_COMMAND");
    assert_eq!(single_gets, 1, "MAX_SINGLE_GETS, and the store's own `get`");
}

#[tokio::test]
async fn an_erased_store_has_the_same_bytes() {
    let store = Narrow::default();
    let fixed = Encoded::with_config(store.clone(), EncodedConfig::new());
    let erased = AnyBackend::custom(store.clone(), EncodedConfig::new());
    let (fixed, erased) = (App::new(fixed), App::new(erased));
    // What one has stored is a hit of the other.
    assert_eq!(fixed.read(Refresh).await, (Source::Repository, Some(1)));
    assert_eq!(erased.read(Fresh).await, (Source::Cache, Some(1)));
    assert_eq!(erased.read(Invalidate).await, (Source::Repository, Some(1)));
    assert_eq!(fixed.read(Fresh).await, (Source::Cache, Some(1)));
    // A store with narrow keys has the full key in each entry.
    let text = "row:k";
    let value = store.inner.get(text).await.unwrap().unwrap();
    let has_key = value
        .windows(text.len())
        .any(|part| part == text.as_bytes());
    assert!(has_key, "{value:?}");
}

#[tokio::test]
async fn a_lease_of_another_backend_is_an_error_in_its_own_place() {
    let memory = AnyBackend::from(InMemoryBackend::new());
    let custom = AnyBackend::custom(MapStore::default(), EncodedConfig::new());
    let now = Timestamp::from_millis(1_000);
    let lease = async |backend: &AnyBackend, key: &str, id: u64| {
        let request = LeaseRequest {
            id: LeaseId(id << 24),
            take: Take::IfMissing,
            now,
        };
        match backend.lease::<Row>(key, request).await.unwrap() {
            Leased::Granted { lease, .. } => lease,
            other => panic!("{other:?}"),
        }
    };
    let entry = |key| Entry {
        value: Some(Arc::new(row(key, 1))),
        created: now,
        stale_from: Timestamp::NEVER,
        expires: Timestamp::NEVER,
        load_millis: 0,
        pinned: false,
    };
    for (own, other) in [(&memory, &custom), (&custom, &memory)] {
        let entries = vec![
            ("row:x", lease(other, "row:x", 1).await, entry("x")),
            ("row:a", lease(own, "row:a", 2).await, entry("a")),
            ("row:y", lease(other, "row:y", 3).await, entry("y")),
            ("row:b", lease(own, "row:b", 4).await, entry("b")),
            ("row:z", lease(other, "row:z", 5).await, entry("z")),
        ];
        let answers = own.store_many(entries, now).await;
        let stored: Vec<_> = answers.iter().map(|answer| answer.as_ref().ok()).collect();
        let done = Some(&Stored::Stored);
        assert_eq!(stored, [None, done, None, done, None]);
        let leases = vec![
            ("row:c", lease(own, "row:c", 6).await),
            ("row:w", lease(other, "row:w", 7).await),
        ];
        let released = own.release_many::<Row>(leases).await;
        assert!(released[0].is_ok() && released[1].is_err());
        let foreign = lease(other, "row:v", 8).await;
        assert!(own.store("row:v", foreign, entry("v"), now).await.is_err());
        let foreign = lease(other, "row:u", 9).await;
        assert!(own.release::<Row>("row:u", foreign).await.is_err());
    }
}

fn pinged() -> (Shelf, AnyBackend) {
    let shelf = Shelf::default();
    let backend = AnyBackend::custom(shelf.clone(), EncodedConfig::new());
    (shelf, backend)
}

async fn fails(backend: &AnyBackend, times: usize) {
    for _ in 0..times {
        let now = Timestamp::from_millis(0);
        assert!(backend.get::<Row>("row:k", now).await.is_err());
    }
}

/// Time stands still, so no background task asks in between.
#[tokio::test(start_paused = true)]
async fn a_ping_that_is_answered_closes_the_breaker() {
    let (shelf, backend) = pinged();
    shelf.make_all(Fate::Fails);
    fails(&backend, 5).await;
    assert!(!backend.health().available);
    assert!(backend.ping().await.is_err());
    assert!(!backend.health().available);
    shelf.make_all(Fate::Works);
    backend.ping().await.unwrap();
    assert!(backend.health().available);
    assert_eq!(backend.health().last_error, None);
}

#[tokio::test(start_paused = true)]
async fn a_ping_counts_neither_as_a_failure_nor_as_a_success() {
    let (shelf, backend) = pinged();
    shelf.make(Op::Ping, [Fate::Fails]);
    for _ in 0..20 {
        let error = backend.ping().await.unwrap_err();
        assert!(matches!(error, Error::BackendError(_)), "{error}");
    }
    let health = backend.health();
    assert!(
        health.available && health.last_error.is_none(),
        "{health:?}"
    );
    // A store that answers pings and no commands is left alone all the same.
    shelf.make(Op::Get, [Fate::Fails]);
    shelf.make(Op::Ping, [Fate::Works]);
    for _ in 0..5 {
        assert!(backend.health().available);
        fails(&backend, 1).await;
        if backend.health().available {
            backend.ping().await.unwrap();
        }
    }
    assert!(!backend.health().available);
}

#[tokio::test(start_paused = true)]
async fn a_ping_takes_no_longer_than_an_operation() {
    let (shelf, backend) = pinged();
    for fates in [vec![Fate::Hangs], vec![Fate::Lost, Fate::Hangs]] {
        shelf.make(Op::Ping, fates);
        let begun = Instant::now();
        let error = backend.ping().await.unwrap_err();
        assert!(matches!(error, Error::Timeout(_)), "{error}");
        assert_eq!(begun.elapsed(), Duration::from_millis(500));
    }
    // The second try has what the first has left.
    let store = Narrow::default();
    store.seen.lost_after.store(400, Ordering::Relaxed);
    let slow = AnyBackend::custom(store, EncodedConfig::new());
    let begun = Instant::now();
    assert!(matches!(slow.ping().await, Err(Error::Timeout(_))));
    assert_eq!(begun.elapsed(), Duration::from_millis(500));
    // A lost connection is replaced, and a refusal is an answer.
    shelf.make(Op::Ping, [Fate::Lost, Fate::Works]);
    backend.ping().await.unwrap();
    shelf.make(Op::Ping, [Fate::Refused]);
    backend.ping().await.unwrap();
}
