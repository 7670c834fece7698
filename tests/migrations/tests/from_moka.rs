//! What moka does, and cache-kit beside it.

use std::sync::Arc;

use cache_kit::backend::InMemoryBackend;
use cache_kit::testing::FakeRepository;
use cache_kit::{CacheEntity, CacheService, DataRepository};
use moka::future::Cache;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Person {
    id: u64,
    name: String,
}

fn table() -> FakeRepository<Person> {
    let table = FakeRepository::new();
    name(&table, "Ann");
    table
}

fn name(table: &FakeRepository<Person>, name: &str) {
    table.insert(Person {
        id: 1,
        name: name.to_string(),
    });
}

async fn load(table: FakeRepository<Person>) -> Result<Arc<Person>, cache_kit::Error> {
    Ok(Arc::new(
        table.fetch_by_id(&1).await?.expect("there is one"),
    ))
}

#[tokio::test]
async fn a_slow_load_of_moka_puts_back_what_was_invalidated_and_is_joined_meanwhile() {
    let (table, cache) = (table(), Cache::<u64, Arc<Person>>::new(100));
    table.hang();
    let read = || {
        let (cache, table) = (cache.clone(), table.clone());
        async move {
            cache
                .try_get_with(1, load(table))
                .await
                .unwrap()
                .name
                .clone()
        }
    };
    let slow = tokio::spawn(read());
    table.until_asked(1).await;

    name(&table, "Beth");
    cache.invalidate(&1).await;
    let late = tokio::spawn(read()); // begins after the invalidation
    while !late.is_finished() {
        table.work();
        tokio::task::yield_now().await;
    }
    assert_eq!(slow.await.unwrap(), "Ann");
    assert_eq!(
        late.await.unwrap(),
        "Ann",
        "it has joined the load of before"
    );
    assert_eq!(cache.get(&1).await.unwrap().name, "Ann", "and so it stays");
}

#[tokio::test]
async fn cache_kit_stores_nothing_older_than_an_invalidation() {
    let table = table();
    let users = CacheService::new(InMemoryBackend::new()).repository(table.clone());
    table.hang();
    let read = || {
        let users = users.clone();
        async move { users.get(&1).await.unwrap().unwrap().name.clone() }
    };
    let slow = tokio::spawn(read());
    table.until_asked(1).await;

    name(&table, "Beth");
    users.invalidate(&1).await.unwrap();
    let late = tokio::spawn(read());
    table.until_asked(2).await;
    table.work();
    assert_eq!(slow.await.unwrap(), "Ann");
    assert_eq!(late.await.unwrap(), "Beth");
    assert_eq!(read().await, "Beth");
}

#[tokio::test]
async fn a_load_of_moka_ends_with_its_caller_and_one_of_cache_kit_does_not() {
    let (table, cache) = (table(), Cache::<u64, Arc<Person>>::new(100));
    table.hang();
    let caller = tokio::spawn({
        let (cache, table) = (cache.clone(), table.clone());
        async move { cache.try_get_with(1, load(table)).await.is_ok() }
    });
    table.until_asked(1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    assert_eq!(table.waiting(), 0);
    table.work();
    assert!(cache.get(&1).await.is_none());

    table.hang();
    let users = CacheService::new(InMemoryBackend::new()).repository(table.clone());
    let caller = tokio::spawn({
        let users = users.clone();
        async move { users.get(&1).await.is_ok() }
    });
    table.until_asked(2).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    assert_eq!(table.waiting(), 1);
    table.work();
    assert!(users.get(&1).await.unwrap().is_some());
    assert_eq!(table.queries(), 2);
}

#[tokio::test]
async fn neither_remembers_that_there_is_no_row() {
    let (table, cache) = (
        FakeRepository::<Person>::new(),
        Cache::<u64, Person>::new(100),
    );
    for _ in 0..2 {
        let asked = table.fetch_by_id(&1);
        let found = cache.optionally_get_with(1, async { asked.await.unwrap() });
        assert!(found.await.is_none());
    }
    assert_eq!(table.queries(), 2);
    let users = CacheService::new(InMemoryBackend::new()).repository(table.clone());
    for _ in 0..2 {
        assert!(users.get(&1).await.unwrap().is_none());
    }
    assert_eq!(table.queries(), 4);
}
