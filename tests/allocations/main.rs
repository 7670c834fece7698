//! A hit allocates nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a failed expectation is what a test is for"
)]

use std::fmt;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cache_kit::backend::{AnyBackend, CacheBackend, Engine, InMemoryBackend};
use cache_kit::{
    CacheEntity, CacheFeeder, CacheService, CacheStrategy, InMemoryRepository, OperationConfig,
    SharedFeeder,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "user", key = "id")]
struct User {
    id: String,
    name: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "product", key = "id")]
struct Product {
    id: u64,
    name: String,
}

/// A key of the user's own over an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct AccountId(u64);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "account", key = "id")]
struct Account {
    id: AccountId,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "session", key = "id")]
struct Session {
    id: uuid::Uuid,
}

/// A request whose feeder lends its key.
#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct Request {
    #[feeder(key)]
    id: String,
    #[feeder(entity)]
    user: Option<Arc<User>>,
}

fn at_once<O>(call: impl Future<Output = cache_kit::Result<O>>) -> O {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome.unwrap(),
        Poll::Pending => panic!("a hit does not wait"),
    }
}

/// What `calls` allocates and frees on this thread. The test harness has a thread of its own.
fn allocations(calls: impl FnOnce()) -> (i64, i64) {
    let counted = allocation_counter::measure(calls);
    let allocated = counted.count_total as i64;
    (allocated, allocated - counted.count_current)
}

fn memory(engine: Engine) -> InMemoryBackend {
    InMemoryBackend::builder()
        .engine(engine)
        .default_ttl(Duration::from_secs(3_600))
        .build()
}

/// What 576 hits of `backend` allocate, and free or move.
fn of_hits(backend: impl CacheBackend) -> (i64, i64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let service = CacheService::new(backend);

    let users = InMemoryRepository::new();
    let id = "user_001".to_owned();
    users.insert(
        id.clone(),
        User {
            id: id.clone(),
            name: "Ann".into(),
        },
    );
    let products = InMemoryRepository::new();
    products.insert(
        u64::MAX,
        Product {
            id: u64::MAX,
            name: "Anvil".into(),
        },
    );

    let account = Account { id: AccountId(7) };
    let accounts = InMemoryRepository::new();
    accounts.insert(account.id, account.clone());
    let session = Session {
        id: uuid::Uuid::from_u128(u128::MAX / 7),
    };
    let sessions = InMemoryRepository::new();
    sessions.insert(session.id, session.clone());

    let mut by_newtype = SharedFeeder::<Account>::new(account.id);
    let mut by_uuid = SharedFeeder::<Session>::new(session.id);
    let mut by_string = SharedFeeder::<User>::new(id.clone());
    let mut by_integer = SharedFeeder::<Product>::new(u64::MAX);
    let mut derived = Request { id, user: None };
    // Once to store, once more for what the first hit of a thread sets up.
    for _ in 0..2 {
        runtime.block_on(async {
            service
                .execute(&mut by_string, &users, CacheStrategy::Refresh)
                .await
                .unwrap();
            service
                .execute(&mut by_integer, &products, CacheStrategy::Refresh)
                .await
                .unwrap();
            service
                .execute(&mut by_newtype, &accounts, CacheStrategy::Refresh)
                .await
                .unwrap();
            service
                .execute(&mut by_uuid, &sessions, CacheStrategy::Refresh)
                .await
                .unwrap();
            service
                .execute(&mut derived, &users, CacheStrategy::Refresh)
                .await
                .unwrap();
        });
    }

    let counted = allocations(|| {
        for strategy in [CacheStrategy::Refresh, CacheStrategy::Fresh] {
            for _ in 0..32 {
                assert!(at_once(service.execute(&mut by_string, &users, strategy)).is_hit());
                assert!(at_once(service.execute(&mut by_integer, &products, strategy)).is_hit());
                assert!(at_once(service.execute(&mut by_newtype, &accounts, strategy)).is_hit());
                assert!(at_once(service.execute(&mut by_uuid, &sessions, strategy)).is_hit());
                assert!(at_once(service.execute(&mut derived, &users, strategy)).is_hit());
                let config = OperationConfig::default();
                let call = service.execute_with_config(&mut derived, &users, strategy, config);
                assert!(at_once(call).is_hit());
            }
        }
    });
    let rows = service.repository(users.clone());
    let id = "user_001".to_owned();
    let owned = allocations(|| {
        for strategy in [CacheStrategy::Refresh, CacheStrategy::Fresh] {
            for _ in 0..32 {
                let read = rows.get(&id).strategy(strategy).with_outcome();
                let (user, outcome) = at_once(read);
                assert!(outcome.is_hit() && user.is_some());
                assert!(at_once(rows.get(&id)).is_some());
                assert!(rows.try_get(&id).is_some());
            }
        }
    });
    assert_eq!(derived.user.unwrap().name, "Ann");
    assert_eq!(by_integer.entity.unwrap().name, "Anvil");
    (counted.0 + owned.0, counted.1 + owned.1)
}

#[test]
fn hits_allocate_nothing() {
    assert_eq!(
        allocations(|| drop(black_box(Box::new(1)))),
        (1, 1),
        "the count can see one"
    );
    assert_eq!(of_hits(memory(Engine::QuickCache)), (0, 0));
    assert_eq!(
        of_hits(AnyBackend::from(memory(Engine::QuickCache))),
        (0, 0)
    );
    // moka's own housekeeping allocates now and then; a hit through cache-kit adds nothing to that.
    let fixed = of_hits(memory(Engine::Moka));
    let chosen = of_hits(AnyBackend::from(memory(Engine::Moka)));
    for (allocated, freed) in [fixed, chosen] {
        assert!(
            allocated + freed <= 24,
            "{allocated} and {freed} in 576 hits"
        );
    }

    let fixed = future_of_a_hit(&CacheService::new(InMemoryBackend::new()));
    assert!(fixed <= 256, "a hit's future has {fixed} bytes");
    let chosen = future_of_a_hit(&CacheService::new(AnyBackend::from(InMemoryBackend::new())));
    assert_eq!(chosen, fixed, "the future of a hit through AnyBackend");
}

/// The bytes of the future of a call.
fn future_of_a_hit<B: CacheBackend>(service: &CacheService<B>) -> usize {
    let users = InMemoryRepository::<User>::new();
    let mut feeder = SharedFeeder::<User>::new(String::new());
    let call = service.execute(&mut feeder, &users, CacheStrategy::Refresh);
    size_of_val(&call)
}
