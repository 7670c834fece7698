//! A call that goes away, or gives up, while a lease command has no answer leaves nothing behind
//! that others would wait for.

use std::sync::Arc;
use std::time::Duration;

use cache_kit::CacheStrategy::{self, Bypass, Invalidate, Refresh};
use cache_kit::backend::{ByteStore, Claim, Encoded};
use cache_kit::{CacheService, Result, SharedFeeder, Source};
use cache_kit_tests::{Gated, Row, Step};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::byte_store::MapStore;

/// A store that does a command of one kind, but holds its answer at a gate.
#[derive(Clone)]
struct Stuck {
    inner: MapStore,
    command: &'static str,
    gate: Arc<Semaphore>,
}

impl Stuck {
    async fn answer(&self, command: &str) {
        if command == self.command {
            self.gate.acquire().await.unwrap().forget();
        }
    }
}

impl ByteStore for Stuck {
    type Token = Vec<u8>;

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>>> {
        self.inner.get_many(keys).await
    }

    async fn claim(&self, key: &str, mark: &[u8], life: Duration) -> Result<Claim<Vec<u8>>> {
        let claim = self.inner.claim(key, mark, life).await;
        self.answer("claim").await;
        claim
    }

    async fn compare_and_set(
        &self,
        key: &str,
        old: &Vec<u8>,
        new: &[u8],
        life: Option<Duration>,
    ) -> Result<bool> {
        // Dropped here, it has not been done.
        self.answer("swap").await;
        self.inner.compare_and_set(key, old, new, life).await
    }

    async fn compare_and_delete(&self, key: &str, old: &Vec<u8>) -> Result<bool> {
        self.inner.compare_and_delete(key, old).await
    }

    async fn set(&self, key: &str, value: &[u8], life: Duration) -> Result<Option<Vec<u8>>> {
        let set = self.inner.set(key, value, life).await;
        self.answer("set").await;
        set
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<()>> {
        self.inner.delete_many(keys).await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }
}

type Service = CacheService<Encoded<Stuck>>;

/// Asks for two keys in one call, or for one.
async fn call(service: &Service, database: &Gated, strategy: CacheStrategy, keys: &[&str]) {
    let mut feeders: Vec<_> = keys
        .iter()
        .map(|key| SharedFeeder::<Row>::new((*key).to_owned()))
        .collect();
    match &mut feeders[..] {
        [feeder] => drop(service.execute(feeder, database, strategy).await.unwrap()),
        feeders => drop(
            service
                .execute_many(feeders, database, strategy)
                .await
                .unwrap(),
        ),
    }
}

const CASES: [(&str, CacheStrategy); 6] = [
    ("claim", Refresh),
    ("claim", Bypass),
    ("set", Invalidate),
    ("swap", Refresh),
    ("swap", Bypass),
    ("swap", Invalidate),
];

fn scene(command: &'static str) -> (Service, Gated, Stuck) {
    let store = Stuck {
        inner: MapStore::default(),
        command,
        gate: Arc::new(Semaphore::new(0)),
    };
    let database = Gated::open();
    database.set("a", 1);
    database.set("b", 1);
    let service = CacheService::new(Encoded::over(store.clone()));
    (service, database, store)
}

/// A reader of another process gets each key at once.
async fn nothing_to_wait_for(store: &Stuck, database: &Gated, keys: &[&str], case: &str) {
    store.gate.add_permits(100);
    let other = CacheService::new(Encoded::over(store.clone()));
    for key in keys {
        let begun = Instant::now();
        let mut feeder = SharedFeeder::<Row>::new((*key).to_owned());
        let outcome = other.execute(&mut feeder, database, Refresh).await.unwrap();
        let took = begun.elapsed();
        assert!(
            took < Duration::from_millis(100),
            "{case}: {key} took {took:?}"
        );
        assert!(!outcome.degraded().any(), "{case}: {outcome:?}");
        assert!([Source::Repository, Source::Cache].contains(&outcome.source()));
    }
}

/// Runs the tasks that clean up.
async fn tidy() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_goes_away() {
    for (command, strategy) in CASES {
        for keys in [&["a"][..], &["a", "b"]] {
            let case = format!("{command}, {strategy}, {keys:?}");
            let (service, database, store) = scene(command);
            let mut step = Step::new(call(&service, &database, strategy, keys));
            for _ in 0..20 {
                assert!(step.poll().is_pending(), "{case}");
                tokio::task::yield_now().await;
            }
            // The other commands are answered now; the answer of the dropped call never comes.
            step.cancel();
            store.gate.add_permits(100);
            tidy().await;
            nothing_to_wait_for(&store, &database, keys, &case).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_given_up() {
    for (command, strategy) in CASES {
        // An invalidation that is given up is a different case.
        if command == "set" {
            continue;
        }
        for keys in [&["a"][..], &["a", "b"]] {
            let case = format!("{command}, {strategy}, {keys:?}");
            let (service, database, store) = scene(command);
            call(&service, &database, strategy, keys).await;
            store.gate.add_permits(100);
            tidy().await;
            nothing_to_wait_for(&store, &database, keys, &case).await;
        }
    }
}
