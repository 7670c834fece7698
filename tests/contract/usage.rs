//! Code as users write it, by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_kit::backend::{CacheBackend, InMemoryBackend};
use cache_kit::observability::{CacheMetrics, TtlPolicy};
use cache_kit::repository::{self, DynRepository, InMemoryRepository};
use cache_kit::{
    CacheEntity, CacheExpander, CacheFeed, CacheService, CacheStrategy, DataRepository,
    GenericFeeder, OperationConfig, Outcome, SharedFeeder, Source,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    id: String,
    name: String,
    email: String,
}

impl CacheEntity for User {
    type Key = String;

    fn cache_key(&self) -> Self::Key {
        self.id.clone()
    }

    fn cache_prefix() -> &'static str {
        "user"
    }
}

struct UserFeeder {
    id: String,
    user: Option<User>,
}

impl CacheFeed<User> for UserFeeder {
    fn entity_id(&mut self) -> String {
        self.id.clone()
    }

    fn feed(&mut self, entity: Option<User>) {
        self.user = entity;
    }
}

#[derive(Clone)]
struct Pool;

impl Pool {
    async fn fetch_optional(&self, id: &str) -> Result<Option<User>, std::io::Error> {
        tokio::task::yield_now().await;
        match id {
            "broken" => Err(std::io::Error::other("connection refused")),
            "nobody" => Ok(None),
            id => Ok(Some(ann(id))),
        }
    }
}

struct UserRepository {
    pool: Pool,
}

impl DataRepository<User> for UserRepository {
    async fn fetch_by_id(&self, id: &String) -> cache_kit::Result<Option<User>> {
        self.pool
            .fetch_optional(id)
            .await
            .map_err(|e| cache_kit::Error::RepositoryError(e.to_string()))
    }
}

fn ann(id: &str) -> User {
    User {
        id: id.to_owned(),
        name: "Ann".to_owned(),
        email: "ann@example.org".to_owned(),
    }
}

fn feeder(id: &str) -> UserFeeder {
    UserFeeder {
        id: id.to_owned(),
        user: None,
    }
}

/// The calls of the contract, as they are documented.
async fn the_contract() -> cache_kit::Result<()> {
    let repository = UserRepository { pool: Pool };
    let mut feeder = feeder("user_001");
    let cache = CacheService::new(InMemoryBackend::new());
    cache
        .execute(&mut feeder, &repository, CacheStrategy::Refresh)
        .await?;
    cache
        .execute::<User, _, _>(&mut feeder, &repository, CacheStrategy::Invalidate)
        .await?;
    let outcome: Outcome = cache
        .execute_with_config(
            &mut feeder,
            &repository,
            CacheStrategy::Refresh,
            OperationConfig::default(),
        )
        .await?;
    assert_eq!(outcome.source(), Source::Cache);
    assert_eq!(feeder.user, Some(ann("user_001")));
    Ok(())
}

#[tokio::test]
async fn the_contract_compiles_and_runs() {
    the_contract().await.unwrap();
}

#[derive(Default, Clone)]
struct Counts {
    hits: Arc<AtomicU64>,
    misses: Arc<AtomicU64>,
    sets: Arc<AtomicU64>,
    deletes: Arc<AtomicU64>,
    errors: Arc<AtomicU64>,
}

impl CacheMetrics for Counts {
    fn record_hit(&self, key: &str, _duration: Duration) {
        assert_eq!(key, "user:user_001");
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    fn record_miss(&self, _key: &str, _duration: Duration) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    fn record_set(&self, _key: &str, _duration: Duration) {
        self.sets.fetch_add(1, Ordering::Relaxed);
    }

    fn record_delete(&self, _key: &str, _duration: Duration) {
        self.deletes.fetch_add(1, Ordering::Relaxed);
    }

    fn record_error(&self, _key: &str, error: &str) {
        assert!(error.contains("connection refused"), "{error}");
        self.errors.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn an_expander_with_everything_set() {
    let counts = Counts::default();
    let expander = CacheExpander::new(InMemoryBackend::new())
        .with_metrics(Box::new(counts.clone()))
        .with_ttl_policy(TtlPolicy::PerType(|entity_type| match entity_type {
            "user" => Duration::from_secs(3600),
            _ => Duration::from_secs(1800),
        }));
    let repository = UserRepository { pool: Pool };
    let mut feeder = feeder("user_001");
    expander
        .with::<User, _, _>(&mut feeder, &repository, CacheStrategy::Refresh)
        .await
        .unwrap();
    expander
        .with_config(
            &mut feeder,
            &repository,
            CacheStrategy::Refresh,
            OperationConfig::default()
                .with_ttl(Duration::from_secs(60))
                .with_retry(3),
        )
        .await
        .unwrap();
    expander
        .with::<User, _, _>(&mut feeder, &repository, CacheStrategy::Invalidate)
        .await
        .unwrap();
    feeder.id = "broken".to_owned();
    let refused = expander
        .with::<User, _, _>(&mut feeder, &repository, CacheStrategy::Refresh)
        .await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "repository failed: load user:broken: connection refused"
    );
    let counted = [
        &counts.hits,
        &counts.misses,
        &counts.sets,
        &counts.deletes,
        &counts.errors,
    ]
    .map(|count| count.load(Ordering::Relaxed));
    assert_eq!(counted, [1, 2, 2, 1, 1]);
}

#[tokio::test]
async fn every_form_of_repository_is_one() {
    #[allow(clippy::ptr_arg, reason = "the function gets what the key type says")]
    async fn load(id: &String) -> cache_kit::Result<Option<User>> {
        Pool.fetch_optional(id)
            .await
            .map_err(cache_kit::Error::repository)
    }

    async fn answers(repository: &(impl DataRepository<User> + ?Sized)) {
        let cache = CacheService::new(InMemoryBackend::new());
        let mut feeder = GenericFeeder::<User>::new("user_001".to_owned());
        cache
            .execute(&mut feeder, repository, CacheStrategy::Refresh)
            .await
            .unwrap();
        assert_eq!(feeder.data, Some(ann("user_001")));
        let ids = ["a".to_owned(), "nobody".to_owned(), "b".to_owned()];
        let many = repository.fetch_by_ids(&ids).await.unwrap();
        assert_eq!(many, [Some(ann("a")), None, Some(ann("b"))]);
    }

    let by_hand = UserRepository { pool: Pool };
    answers(&by_hand).await;
    answers(&&by_hand).await;
    answers(&Box::new(UserRepository { pool: Pool })).await;
    let shared = Arc::new(by_hand);
    answers(&shared).await;
    let dynamic: Arc<dyn DynRepository<User>> = shared;
    answers(&dynamic).await;
    answers(&*dynamic).await;
    answers(&repository::from_fn(load)).await;
    let pool = Pool;
    answers(&repository::from_fn(move |id: &String| {
        let (pool, id) = (pool.clone(), id.clone());
        async move {
            pool.fetch_optional(&id)
                .await
                .map_err(cache_kit::Error::repository)
        }
    }))
    .await;
}

#[tokio::test]
async fn rows_in_memory_are_a_repository_for_tests() {
    let repo = InMemoryRepository::<User>::new();
    repo.insert("user_001".to_string(), ann("user_001"));
    let cache = CacheService::new(InMemoryBackend::new());
    let mut feeder = SharedFeeder::<User>::new("user_001".to_owned());
    let first = cache
        .execute(&mut feeder, &repo, CacheStrategy::Refresh)
        .await
        .unwrap();
    assert_eq!(first.source(), Source::Repository);
    let loaded = feeder.entity.take().unwrap();
    let second = cache
        .execute(&mut feeder, &repo, CacheStrategy::Refresh)
        .await
        .unwrap();
    assert!(second.is_hit());
    assert!(
        Arc::ptr_eq(&loaded, &feeder.entity.unwrap()),
        "a hit copies nothing"
    );
    let clone = repo.clone();
    clone.remove(&"user_001".to_owned());
    assert!(repo.is_empty(), "clones share their rows");
}

#[tokio::test]
async fn the_service_is_shared_by_tasks_whatever_the_backend() {
    fn spawnable<B: CacheBackend>(service: &CacheService<B>) -> CacheService<B> {
        service.clone()
    }

    let cache = CacheService::new(InMemoryBackend::new());
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let cache = spawnable(&cache);
            tokio::spawn(async move {
                let mut feeder = feeder(&format!("user_{n:03}"));
                let repository = UserRepository { pool: Pool };
                cache
                    .execute(&mut feeder, &repository, CacheStrategy::Refresh)
                    .await?;
                Ok::<_, cache_kit::Error>(feeder.user)
            })
        })
        .collect();
    for (n, task) in tasks.into_iter().enumerate() {
        assert_eq!(
            task.await.unwrap().unwrap(),
            Some(ann(&format!("user_{n:03}")))
        );
    }
    assert_eq!(cache.backend().len(), 8);
}

#[tokio::test]
async fn a_namespace_keeps_two_services_apart() {
    let backend = InMemoryBackend::new();
    let blue = CacheExpander::new(backend.clone())
        .with_namespace("blue")
        .unwrap();
    let green = CacheExpander::new(backend.clone())
        .with_namespace("green")
        .unwrap();
    let repository = UserRepository { pool: Pool };
    let mut feeder = feeder("user_001");
    for expander in [&blue, &green] {
        let outcome = expander
            .with::<User, _, _>(&mut feeder, &repository, CacheStrategy::Refresh)
            .await
            .unwrap();
        assert_eq!(outcome.source(), Source::Repository);
    }
    assert_eq!(backend.len(), 2);
    assert!(CacheExpander::new(backend).with_namespace("a:b").is_err());
}

#[test]
fn without_a_runtime_a_load_is_a_clear_error() {
    let cache = CacheService::new(InMemoryBackend::new());
    let mut feeder = feeder("user_001");
    let rows = InMemoryRepository::<User>::new();
    rows.insert("user_001".to_owned(), ann("user_001"));
    let call = cache.execute(&mut feeder, &rows, CacheStrategy::Refresh);
    let mut step = cache_kit_tests::Step::new(call);
    let std::task::Poll::Ready(Err(error)) = step.poll() else {
        panic!("the load cannot have worked");
    };
    assert_eq!(error.kind(), cache_kit::ErrorKind::Config);
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}
