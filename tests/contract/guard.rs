//! The guard of a store of bytes: sendings, refusals, queues, and missing answers.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache_kit::backend::{
    ByteStore, CacheBackend, Claim, Encoded, EncodedConfig, Invalidated, LeaseId, LeaseRequest,
    Leased, Lookup, Stored, Take,
};
use cache_kit::clock::{Clock, Timestamp};
use cache_kit::entry::Entry;
use cache_kit::observability::{CacheEvent, CacheMetrics};
use cache_kit::{
    CacheExpander, CacheService, CacheStrategy, Error, ErrorKind, Result, SharedFeeder,
};
use cache_kit_tests::servers::eventually_async;
use cache_kit_tests::{Gated, Row, Step, row};
use tokio::sync::Semaphore;

use crate::byte_store::MapStore;

const LIMIT: Duration = Duration::from_secs(20);

/// A store that loses connections, refuses, falls silent and miscounts on demand.
#[derive(Clone)]
struct Moody {
    inner: MapStore,
    mood: Arc<Mood>,
}

struct Mood {
    /// How many of the next claims and sets lose their connection, before or after they are done.
    lost_before: AtomicUsize,
    lost_after: AtomicUsize,
    /// Every placeholder that was sent.
    sent: Mutex<Vec<Vec<u8>>>,
    /// Keys that may not be deleted.
    refused: Mutex<HashSet<String>>,
    /// How many keys each deletion had.
    deletions: Mutex<Vec<usize>>,
    silent: AtomicBool,
    miscounts: AtomicBool,
    pings: AtomicUsize,
    room: Semaphore,
}

impl Moody {
    fn new() -> Self {
        Self {
            inner: MapStore::default(),
            mood: Arc::new(Mood {
                lost_before: AtomicUsize::new(0),
                lost_after: AtomicUsize::new(0),
                sent: Mutex::default(),
                refused: Mutex::default(),
                deletions: Mutex::default(),
                silent: AtomicBool::new(false),
                miscounts: AtomicBool::new(false),
                pings: AtomicUsize::new(0),
                room: Semaphore::new(1_000),
            }),
        }
    }

    async fn answers(&self) {
        if self.mood.silent.load(Ordering::Acquire) {
            std::future::pending::<()>().await;
        }
    }

    fn sent(&self) -> Vec<Vec<u8>> {
        lock(&self.mood.sent).clone()
    }

    fn deletions(&self) -> Vec<usize> {
        lock(&self.mood.deletions).clone()
    }

    fn refuse(&self, key: &str) {
        lock(&self.mood.refused).insert(key.to_owned());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn one_less(count: &AtomicUsize) -> Result<()> {
    let less = |count: usize| count.checked_sub(1);
    match count.fetch_update(Ordering::AcqRel, Ordering::Acquire, less) {
        Ok(_) => Err(Error::ConnectionLost("told to".into())),
        Err(_) => Ok(()),
    }
}

impl ByteStore for Moody {
    type Token = Vec<u8>;

    async fn admit(&self) -> Result<impl Send> {
        Ok(self.mood.room.acquire().await.unwrap())
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>>> {
        self.answers().await;
        let mut values = self.inner.get_many(keys).await;
        if self.mood.miscounts.load(Ordering::Acquire) {
            values.pop();
        }
        values
    }

    async fn claim(&self, key: &str, mark: &[u8], life: Duration) -> Result<Claim<Vec<u8>>> {
        self.answers().await;
        lock(&self.mood.sent).push(mark.to_vec());
        one_less(&self.mood.lost_before)?;
        let claim = self.inner.claim(key, mark, life).await;
        one_less(&self.mood.lost_after)?;
        claim
    }

    async fn compare_and_set(
        &self,
        key: &str,
        old: &Vec<u8>,
        new: &[u8],
        life: Option<Duration>,
    ) -> Result<bool> {
        self.answers().await;
        self.inner.compare_and_set(key, old, new, life).await
    }

    async fn compare_and_delete(&self, key: &str, old: &Vec<u8>) -> Result<bool> {
        self.answers().await;
        self.inner.compare_and_delete(key, old).await
    }

    async fn set(&self, key: &str, value: &[u8], life: Duration) -> Result<Option<Vec<u8>>> {
        self.answers().await;
        lock(&self.mood.sent).push(value.to_vec());
        one_less(&self.mood.lost_before)?;
        let token = self.inner.set(key, value, life).await;
        one_less(&self.mood.lost_after)?;
        token
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<()>> {
        self.answers().await;
        lock(&self.mood.deletions).push(keys.len());
        let refused = lock(&self.mood.refused).clone();
        let mut answers = Vec::with_capacity(keys.len());
        for key in keys {
            answers.push(match refused.contains(*key) {
                true => Err(Error::BackendRefused("not yours".into())),
                false => self.inner.delete_many(&[key]).await.remove(0),
            });
        }
        answers
    }

    async fn ping(&self) -> Result<()> {
        self.mood.pings.fetch_add(1, Ordering::AcqRel);
        self.answers().await;
        Ok(())
    }
}

fn now() -> Timestamp {
    Clock::system().now()
}

fn request(take: Take) -> LeaseRequest {
    LeaseRequest {
        id: LeaseId(0xABCD_EF01_2345_6789),
        take,
        // The same for all, so that requests do not differ by their clocks.
        now: Timestamp::from_millis(1_000_000),
    }
}

fn entry(version: u64) -> Entry<Row> {
    Entry {
        value: Some(Arc::new(row("k", version))),
        created: now(),
        stale_from: Timestamp::NEVER,
        expires: Timestamp::NEVER,
        load_millis: 0,
        pinned: false,
    }
}

async fn granted(backend: &Encoded<Moody>, take: Take) -> <Encoded<Moody> as CacheBackend>::Lease {
    match backend.lease::<Row>("row:k", request(take)).await.unwrap() {
        Leased::Granted { lease, .. } => lease,
        other => panic!("{take:?}: {other:?}"),
    }
}

#[tokio::test]
async fn no_two_sendings_are_the_same_bytes() {
    let store = Moody::new();
    let backend = Encoded::over(store.clone());
    for take in [Take::IfMissing, Take::Over, Take::Invalidating] {
        for lost in [&store.mood.lost_before, &store.mood.lost_after] {
            lost.store(1, Ordering::Release);
            granted(&backend, take).await;
            granted(&backend, take).await;
        }
    }
    let sent = store.sent();
    assert_eq!(
        sent.len(),
        18,
        "each was sent once more when its connection was lost"
    );
    let different: HashSet<_> = sent.iter().collect();
    assert_eq!(different.len(), sent.len());
}

#[tokio::test]
async fn a_copy_that_comes_late_is_not_taken_for_the_lease() {
    for take in [Take::IfMissing, Take::Over, Take::Invalidating] {
        let store = Moody::new();
        let backend = Encoded::over(store.clone());
        store.mood.lost_before.store(1, Ordering::Release);
        let lease = granted(&backend, take).await;
        let done = backend.invalidate::<Row>("row:k").await.unwrap();
        assert_eq!(done, Invalidated::Done);
        let late = store.sent()[0].clone();
        store.inner.set("row:k", &late, LIMIT).await.unwrap();
        let stored = CacheBackend::store(&backend, "row:k", lease, entry(1), now()).await;
        assert_eq!(stored.unwrap(), Stored::Fenced, "{take:?}");
    }
}

#[tokio::test]
async fn an_earlier_copy_of_the_own_command_is_the_lease() {
    let store = Moody::new();
    let backend = Encoded::over(store.clone());
    store.mood.lost_after.store(1, Ordering::Release);
    let lease = granted(&backend, Take::IfMissing).await;
    let stored = CacheBackend::store(&backend, "row:k", lease, entry(1), now()).await;
    assert_eq!(stored.unwrap(), Stored::Stored);
}

#[tokio::test]
async fn too_few_answers_are_an_error_for_each_key() {
    let store = Moody::new();
    let backend = Encoded::over(store.clone());
    let lease = granted(&backend, Take::IfMissing).await;
    CacheBackend::store(&backend, "row:k", lease, entry(1), now())
        .await
        .unwrap();
    store.mood.miscounts.store(true, Ordering::Release);
    let found = backend
        .get_many::<Row>(&["row:k", "row:l", "row:m"], now())
        .await;
    assert_eq!(found.len(), 3);
    for found in found {
        let error = found.unwrap_err();
        assert!(
            error.to_string().contains("2 answers for 3 keys"),
            "{error}"
        );
    }
    assert!(backend.get::<Row>("row:k", now()).await.is_err());
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(String, CacheEvent)>>>);

impl CacheMetrics for Log {
    fn record_event(&self, key: &str, event: &CacheEvent) {
        lock(&self.0).push((key.to_owned(), event.clone()));
    }
}

async fn read(service: &CacheService<Encoded<Moody>>, database: &Gated, id: &str) -> bool {
    let mut feeder = SharedFeeder::<Row>::new(id.to_owned());
    let outcome = service
        .execute(&mut feeder, database, CacheStrategy::Refresh)
        .await;
    outcome.unwrap().is_hit()
}

#[tokio::test]
async fn what_is_refused_for_too_long_is_given_up_and_told() {
    let (store, database, log) = (Moody::new(), Gated::open(), Log::default());
    let config = EncodedConfig::new().with_refused_invalidations(Duration::from_millis(1_500));
    let expander = CacheExpander::new(Encoded::with_config(store.clone(), config));
    let service = CacheService::from(expander.with_metrics(Box::new(log.clone())));
    for id in ["a", "b"] {
        database.set(id, 1);
        assert!(!read(&service, &database, id).await && read(&service, &database, id).await);
    }
    store.refuse("row:a");
    let pending = service.invalidate::<Row>(&"a".to_owned()).await.unwrap();
    assert_eq!(pending, Invalidated::Pending);
    assert!(!read(&service, &database, "a").await, "it is withheld");
    assert!(read(&service, &database, "b").await, "and nothing else is");
    let health = service.backend().health();
    assert_eq!(
        (health.pending_invalidations, health.refused_invalidations),
        (1, 1)
    );
    assert!(health.available && health.last_refusal.unwrap().contains("not yours"));
    eventually_async("it is given up", LIMIT, || {
        service.backend().health().given_up_invalidations == 1
    })
    .await;
    eventually_async("it is told", LIMIT, || {
        let told = ("row:a".to_owned(), CacheEvent::InvalidationGivenUp);
        lock(&log.0).contains(&told)
    })
    .await;
    assert_eq!(service.backend().health().pending_invalidations, 0);
    read(&service, &database, "a").await;
    assert!(read(&service, &database, "a").await, "it is served again");
    assert!(store.deletions().len() >= 2, "it was tried again");
}

#[tokio::test]
async fn a_long_batch_of_deletions_is_cut() {
    let store = Moody::new();
    let backend = Encoded::over(store.clone());
    let keys: Vec<String> = (0..10_000).map(|n| format!("row:{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    store.refuse("row:7777");
    let done = backend.invalidate_many::<Row>(&keys).await;
    for (key, done) in keys.iter().zip(done) {
        let expected = match *key {
            "row:7777" => Invalidated::Pending,
            _ => Invalidated::Done,
        };
        assert_eq!(done.unwrap(), expected, "{key}");
    }
    let most = Moody::MAX_KEYS_PER_COMMAND;
    assert!(store.deletions().iter().all(|keys| *keys <= most));
}

#[tokio::test]
async fn of_a_long_batch_what_finds_room_waits_and_the_rest_is_an_error() {
    let store = Moody::new();
    let config = EncodedConfig::new()
        .with_operation_deadline(Duration::from_millis(20))
        .with_pending_invalidations(1_000);
    let backend = Encoded::with_config(store.clone(), config);
    store.mood.silent.store(true, Ordering::Release);
    let keys: Vec<String> = (0..3_000).map(|n| format!("row:{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let done = backend.invalidate_many::<Row>(&keys).await;
    let pending = done
        .iter()
        .filter(|result| matches!(result, Ok(Invalidated::Pending)));
    assert_eq!(pending.count(), 1_000);
    let errors = done.iter().filter_map(|result| result.as_ref().err());
    assert_eq!(
        errors
            .filter(|error| error.to_string().contains("no room to queue"))
            .count(),
        2_000
    );
}

#[tokio::test]
async fn a_batch_of_deletions_that_is_dropped_has_all_its_keys_queued() {
    let store = Moody::new();
    let backend = Encoded::over(store.clone());
    store.mood.silent.store(true, Ordering::Release);
    let keys: Vec<String> = (0..3_000).map(|n| format!("row:{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut batch = Step::new(backend.invalidate_many::<Row>(&keys));
    assert!(batch.poll().is_pending());
    batch.cancel();
    assert_eq!(backend.health().pending_invalidations, 3_000);
    store.mood.silent.store(false, Ordering::Release);
    eventually_async("they are sent", LIMIT, || {
        backend.health().pending_invalidations == 0
    })
    .await;
}

#[tokio::test]
async fn calls_that_are_given_up_open_the_breaker_of_a_silent_store() {
    let store = Moody::new();
    let backend = Encoded::over(store.clone());
    store.mood.silent.store(true, Ordering::Release);
    let mut answered = 0;
    for _ in 0..60 {
        let get = backend.get::<Row>("row:k", now());
        answered += usize::from(
            tokio::time::timeout(Duration::from_millis(50), get)
                .await
                .is_ok(),
        );
    }
    assert!(
        answered > 20 && !backend.health().available,
        "{answered} of 60"
    );
    store.mood.silent.store(false, Ordering::Release);
    eventually_async("it is back", LIMIT, || backend.health().available).await;
}

#[tokio::test]
async fn a_call_that_is_given_up_costs_a_store_that_is_well_one_ping() {
    let store = Moody::new();
    let backend = Encoded::over(store.clone());
    store.mood.silent.store(true, Ordering::Release);
    let mut calls: Vec<_> = (0..100)
        .map(|_| Step::new(backend.get::<Row>("row:k", now())))
        .collect();
    for call in &mut calls {
        assert!(call.poll().is_pending());
    }
    store.mood.silent.store(false, Ordering::Release);
    for call in &mut calls {
        call.cancel();
    }
    eventually_async("the ping", LIMIT, || {
        store.mood.pings.load(Ordering::Acquire) == 1
    })
    .await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.mood.pings.load(Ordering::Acquire), 1);
    assert_eq!(backend.health().last_error, None);
}

#[tokio::test]
async fn no_room_in_the_queue_is_no_failure_of_the_store() {
    let store = Moody::new();
    let config = EncodedConfig::new()
        .with_operation_deadline(Duration::from_millis(20))
        .with_breaker_failures(1);
    let backend = Encoded::with_config(store.clone(), config);
    store.mood.room.forget_permits(1_000);
    for _ in 0..3 {
        let error = backend.get::<Row>("row:k", now()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }
    let pending = backend.invalidate::<Row>("row:k").await.unwrap();
    assert_eq!(pending, Invalidated::Pending);
    assert!(backend.health().available);
    store.mood.room.add_permits(1_000);
    eventually_async("it is sent", LIMIT, || {
        backend.health().pending_invalidations == 0
    })
    .await;
    let found = backend.get::<Row>("row:k", now()).await.unwrap();
    assert!(matches!(found, Lookup::Miss { .. }));
}
