//! Look-ups of many callers are sent in few commands, at no cost to any caller.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache_kit::backend::{ByteStore, Claim, Encoded, EncodedConfig};
use cache_kit::{
    CacheService, CacheStrategy, Error, InMemoryRepository, Outcome, Result, SharedFeeder,
};
use cache_kit_tests::{Row, Step, row};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::byte_store::MapStore;

/// This many look-ups are sent alone. Not the default, which may change.
const FEW: usize = 5;

/// This many keys are in one command at most.
const MANY: usize = 100;

/// The fate of a command for many keys.
#[derive(Clone, Copy, PartialEq)]
enum Batches {
    Answer,
    Fail,
    Panic,
}

/// A store that records the requested keys, and answers when its gate is open.
#[derive(Clone)]
struct Gatekept {
    inner: MapStore,
    asked: Arc<watch::Sender<Vec<Vec<String>>>>,
    gate: Arc<Semaphore>,
    batches: Arc<Mutex<Batches>>,
}

impl Gatekept {
    fn new() -> Self {
        Self {
            inner: MapStore::default(),
            asked: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            batches: Arc::new(Mutex::new(Batches::Answer)),
        }
    }

    fn open(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    async fn note(&self, keys: &[&str]) {
        let keys = keys.iter().map(ToString::to_string).collect();
        self.asked.send_modify(|asked| asked.push(keys));
        drop(self.gate.acquire().await.unwrap());
    }

    /// The requested keys, once there are `keys` of them.
    async fn asked(&self, keys: usize) -> Vec<Vec<String>> {
        let mut asked = self.asked.subscribe();
        let enough = |asked: &Vec<Vec<String>>| asked.iter().flatten().count() >= keys;
        let asked = asked.wait_for(enough);
        let asked = tokio::time::timeout(Duration::from_secs(30), asked).await;
        asked.expect("they are never asked for").unwrap().clone()
    }
}

impl ByteStore for Gatekept {
    type Token = Vec<u8>;

    const MAX_SINGLE_GETS: usize = FEW;
    const MAX_KEYS_PER_COMMAND: usize = MANY;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.note(&[key]).await;
        self.inner.get_many(&[key]).await.remove(0)
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>>> {
        self.note(keys).await;
        let batches = *self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        match batches {
            Batches::Answer => self.inner.get_many(keys).await,
            Batches::Fail => {
                let failed = |_| Err(Error::BackendError("no batches today".into()));
                keys.iter().map(failed).collect()
            }
            Batches::Panic => panic!("a store that panics"),
        }
    }

    async fn claim(&self, key: &str, mark: &[u8], life: Duration) -> Result<Claim<Vec<u8>>> {
        self.inner.claim(key, mark, life).await
    }

    async fn compare_and_set(
        &self,
        key: &str,
        old: &Vec<u8>,
        new: &[u8],
        life: Option<Duration>,
    ) -> Result<bool> {
        self.inner.compare_and_set(key, old, new, life).await
    }

    async fn compare_and_delete(&self, key: &str, old: &Vec<u8>) -> Result<bool> {
        self.inner.compare_and_delete(key, old).await
    }

    async fn set(&self, key: &str, value: &[u8], life: Duration) -> Result<Option<Vec<u8>>> {
        self.inner.set(key, value, life).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<()>> {
        self.inner.delete_many(keys).await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }
}

type Service = CacheService<Encoded<Gatekept>>;

/// A service whose store has the rows `0..rows`, each in the version of its number. The gate is
/// closed, and nothing is recorded yet.
async fn filled(rows: usize) -> (Gatekept, Service) {
    // No caller gives up, however little of the machine this process gets.
    filled_within(Duration::from_secs(300), rows).await
}

/// The same, with this deadline for operations.
async fn filled_within(deadline: Duration, rows: usize) -> (Gatekept, Service) {
    let store = Gatekept::new();
    let config = EncodedConfig::new().with_operation_deadline(deadline);
    let service = CacheService::new(Encoded::with_config(store.clone(), config));
    let table = InMemoryRepository::new();
    for version in 0..rows {
        let id = version.to_string();
        table.insert(id.clone(), row(&id, version as u64));
    }
    store.gate.add_permits(1);
    for version in 0..rows {
        let mut feeder = SharedFeeder::<Row>::new(version.to_string());
        service
            .execute(&mut feeder, &table, CacheStrategy::Refresh)
            .await
            .unwrap();
    }
    store.gate.forget_permits(1);
    store.asked.send_replace(Vec::new());
    (store, service)
}

/// Reads row `id`, which must come from the cache.
async fn read(service: Service, id: usize) -> Result<Outcome> {
    let none = InMemoryRepository::<Row>::new();
    let mut feeder = SharedFeeder::<Row>::new(id.to_string());
    let outcome = service
        .execute(&mut feeder, &none, CacheStrategy::Fresh)
        .await?;
    assert_eq!(*feeder.entity.unwrap(), row(&id.to_string(), id as u64));
    Ok(outcome)
}

fn crowd(service: &Service, callers: usize) -> JoinSet<Result<Outcome>> {
    (0..callers).map(|id| read(service.clone(), id)).collect()
}

/// Opens the gate when all callers wait at it.
async fn all_at_once(store: &Gatekept, service: &Service, callers: usize) -> Vec<Result<Outcome>> {
    let crowd = crowd(service, callers);
    store.asked(callers).await;
    store.open();
    crowd.join_all().await
}

/// Polls readers of the rows `rows` by hand, once.
fn begun<'a>(service: &Service, rows: std::ops::Range<usize>) -> Vec<Step<'a, Result<Outcome>>> {
    let begin = |id| {
        let mut step = Step::new(read(service.clone(), id));
        assert!(step.poll().is_pending());
        step
    };
    rows.map(begin).collect()
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn keys(asked: &[Vec<String>]) -> HashSet<&str> {
    asked.iter().flatten().map(String::as_str).collect()
}

#[tokio::test]
async fn few_callers_are_sent_alone() {
    let (store, service) = filled(FEW).await;
    let mut callers = crowd(&service, FEW);
    let asked = store.asked(FEW).await;
    assert!(asked.iter().all(|keys| keys.len() == 1), "{asked:?}");
    assert_eq!(asked.len(), FEW);
    store.open();
    while let Some(read) = callers.join_next().await {
        assert!(read.unwrap().unwrap().is_hit());
    }
}

#[tokio::test]
async fn many_callers_are_sent_together_and_each_gets_its_own() {
    let (store, service) = filled(1_000).await;
    let mut callers = crowd(&service, 1_000);
    let asked = store.asked(1_000).await;
    assert_eq!(keys(&asked).len(), 1_000, "a key was asked for twice");
    // Full ones, and a few that were sent before they were full.
    let commands = FEW + 1_000 / MANY + 4;
    assert!(asked.len() <= commands, "{} commands", asked.len());
    assert!(asked.iter().all(|keys| keys.len() <= MANY));
    store.open();
    while let Some(read) = callers.join_next().await {
        assert!(read.unwrap().unwrap().is_hit());
    }
    // The count of callers is back to zero.
    store.asked.send_replace(Vec::new());
    let again = crowd(&service, FEW).join_all().await;
    assert!(again.into_iter().all(|read| read.unwrap().is_hit()));
    assert_eq!(store.asked(FEW).await.len(), FEW);
}

#[tokio::test]
async fn callers_that_go_away_are_not_asked_for() {
    let (store, service) = filled(FEW + 10).await;
    let alone = begun(&service, 0..FEW);
    let mut waiting = begun(&service, FEW..FEW + 10);
    waiting.truncate(4);
    let asked = store.asked(FEW + 4).await;
    assert_eq!(asked.last().unwrap().len(), 4);
    drop((alone, waiting));
}

#[tokio::test]
async fn all_that_are_sent_together_get_the_error() {
    let (store, service) = filled(40).await;
    *store.batches.lock().unwrap() = Batches::Fail;
    let failed = all_at_once(&store, &service, 40).await;
    let failed = failed.iter().filter_map(|read| read.as_ref().err());
    let told: Vec<String> = failed.map(ToString::to_string).collect();
    assert_eq!(told.len(), 40 - FEW);
    assert!(told.iter().all(|error| error.contains("no batches today")));
}

#[tokio::test]
async fn a_store_that_panics_leaves_no_caller_waiting() {
    let (store, service) = filled(40).await;
    *store.batches.lock().unwrap() = Batches::Panic;
    let reads = all_at_once(&store, &service, 40).await;
    let failed = reads.iter().filter(|read| read.is_err()).count();
    assert_eq!(failed, 40 - FEW);

    *store.batches.lock().unwrap() = Batches::Answer;
    let again = crowd(&service, 40).join_all().await;
    assert!(again.into_iter().all(|read| read.unwrap().is_hit()));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_for_callers_that_wait_too() {
    let deadline = Duration::from_millis(500);
    let (_store, service) = filled_within(deadline, 40).await;
    let begun = tokio::time::Instant::now();
    for read in crowd(&service, 40).join_all().await {
        assert!(matches!(read, Err(Error::Timeout(_))), "{read:?}");
    }
    assert_eq!(begun.elapsed(), deadline);
}

/// The task that fetches for the waiters is queued behind the first caller, on a thread that does
/// not go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_is_blocked_keeps_no_caller_beyond_the_deadline() {
    let (_store, service) = filled_within(Duration::from_secs(2), FEW + 2).await;
    let alone = begun(&service, 0..FEW);
    let (go_on, blocked) = std::sync::mpsc::channel();
    let (joined, others) = tokio::sync::oneshot::channel();
    let first = service.clone();
    let busy = tokio::spawn(async move {
        let waiting = begun(&first, FEW..FEW + 1);
        joined.send(()).unwrap();
        let told = blocked.recv_timeout(Duration::from_secs(20));
        drop(waiting);
        told.is_ok()
    });
    others.await.unwrap();
    let read = tokio::spawn(read(service, FEW + 1)).await.unwrap();
    assert!(matches!(read, Err(Error::Timeout(_))), "{read:?}");
    // Not reported if no caller waits any more, which the next line shows.
    let _ = go_on.send(());
    assert!(busy.await.unwrap(), "the caller waited for the thread");
    drop(alone);
}

#[test]
fn callers_of_a_runtime_that_stands_still_hold_no_others() {
    let still = current_thread();
    let (store, service) = still.block_on(filled(40));
    let left = still.block_on(async { begun(&service, 0..FEW + 4) });

    // Its task has not run and never will; the others must not depend on it.
    let lively = current_thread();
    let reads = lively.block_on(all_at_once(&store, &service, 40));
    assert!(reads.into_iter().all(|read| read.unwrap().is_hit()));

    // When it is gone, new waiters get a task of their own.
    drop(still);
    store.asked.send_replace(Vec::new());
    store.gate.forget_permits(usize::MAX);
    let reads = lively.block_on(all_at_once(&store, &service, 40));
    assert!(reads.into_iter().all(|read| read.unwrap().is_hit()));
    let asked = store.asked.borrow();
    assert!(asked.len() < 40, "they are sent together");
    drop(left);
}

#[tokio::test]
async fn a_value_that_was_large_the_last_time_is_sent_alone() {
    let (store, service) = filled(100).await;
    let large = "x".repeat(100_000);
    let table = InMemoryRepository::new();
    table.insert(large.clone(), row(&large, 7));
    let read_large = |service: Service| {
        let (large, table) = (large.clone(), table.clone());
        async move {
            let mut feeder = SharedFeeder::<Row>::new(large);
            service
                .execute(&mut feeder, &table, CacheStrategy::Refresh)
                .await
        }
    };
    store.gate.add_permits(1);
    for hit in [false, true] {
        assert_eq!(read_large(service.clone()).await.unwrap().is_hit(), hit);
    }
    store.gate.forget_permits(1);
    store.asked.send_replace(Vec::new());
    let mut calls = JoinSet::new();
    for id in 0..100 {
        calls.spawn(read(service.clone(), id));
        if id == 60 {
            calls.spawn(read_large(service.clone()));
        }
    }
    let asked = store.asked(101).await;
    let with_large = asked
        .iter()
        .find(|keys| keys.iter().any(|key| key.len() > 100_000));
    assert_eq!(with_large.map(Vec::len), Some(1));
    assert!(
        asked.iter().any(|keys| keys.len() > 50),
        "the others are sent together"
    );
    store.open();
    while let Some(ended) = calls.join_next().await {
        assert!(ended.unwrap().unwrap().is_hit());
    }
}

#[tokio::test]
async fn a_store_that_cannot_list_its_keys_says_so_and_drops_nothing() {
    let (store, service) = filled(3).await;
    store.gate.add_permits(100);
    let error = service.clear::<Row>().await.unwrap_err();
    assert_eq!(error.kind(), cache_kit::ErrorKind::Config);
    assert!(error.to_string().contains("another namespace"), "{error}");
    assert!(service.health().available);
}
