//! What `cached` does, and cache-kit beside it.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_kit::Error;
use cache_kit::testing::FakeRepository;
use cache_kit::{CacheEntity, DataRepository};
use cached::macros::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Person {
    id: u64,
    name: String,
}

/// Each test has ids of its own: the cache of a function is one for the process.
static TABLE: LazyLock<FakeRepository<Person>> = LazyLock::new(FakeRepository::new);

async fn load(id: u64) -> Result<Option<Person>, Error> {
    TABLE.fetch_by_id(&id).await
}

fn insert(id: u64, name: &str) {
    TABLE.insert(Person {
        id,
        name: name.to_string(),
    });
}

#[cached(max_size = 100)]
async fn plain(id: u64) -> Result<Person, Error> {
    Ok(load(id).await?.expect("there is one"))
}

#[tokio::test]
async fn callers_at_once_run_the_body_each_unless_they_are_told_otherwise() {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    #[cached(max_size = 100)]
    async fn each(_id: u64) -> u64 {
        tokio::task::yield_now().await;
        RUNS.fetch_add(1, Ordering::SeqCst)
    }
    #[cached(max_size = 100, sync_writes = "by_key")]
    async fn one(_id: u64) -> u64 {
        tokio::task::yield_now().await;
        RUNS.fetch_add(1, Ordering::SeqCst)
    }
    tokio::join!(each(1), each(1), each(1));
    assert_eq!(RUNS.swap(0, Ordering::SeqCst), 3);
    tokio::join!(one(1), one(1), one(1));
    assert_eq!(RUNS.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn neither_an_error_nor_an_absence_is_kept() {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    #[cached(max_size = 100)]
    fn fails(_id: u64) -> Result<u64, String> {
        RUNS.fetch_add(1, Ordering::SeqCst);
        Err("refused".to_string())
    }
    #[cached(max_size = 100)]
    fn absent(_id: u64) -> Option<u64> {
        RUNS.fetch_add(1, Ordering::SeqCst);
        None
    }
    for _ in 0..2 {
        assert!(fails(1).is_err());
        assert!(absent(1).is_none());
    }
    assert_eq!(RUNS.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_hit_is_a_clone() {
    insert(1, "Ann");
    let (first, second) = (plain(1).await.unwrap(), plain(1).await.unwrap());
    assert_eq!(first, second);
    assert_eq!(TABLE.queries_of(&1), 1);
}

#[tokio::test]
async fn a_slow_call_puts_back_what_was_removed_meanwhile() {
    use cached::Cached;

    static GATE: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(0);
    static READ: tokio::sync::Notify = tokio::sync::Notify::const_new();
    #[cached(max_size = 100)]
    async fn gated(id: u64) -> Result<Person, Error> {
        let row = load(id).await?;
        READ.notify_one();
        let _passed = GATE.acquire().await;
        Ok(row.expect("there is one"))
    }
    insert(2, "Ann");
    let slow = tokio::spawn(gated(2));
    READ.notified().await;
    insert(2, "Beth");
    let _ = GATED.write().await.cache_remove(&2);
    GATE.add_permits(10);
    assert_eq!(slow.await.unwrap().unwrap().name, "Ann");
    assert_eq!(gated(2).await.unwrap().name, "Ann");
}
