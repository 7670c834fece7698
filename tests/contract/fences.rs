//! No stale write after an invalidation: every dangerous interleaving, forced.

use std::task::Poll;

use cache_kit::backend::{Engine, InMemoryBackend, Invalidated};
use cache_kit::observability::StoreResult;
use cache_kit::{CacheService, CacheStrategy, Outcome, Result, SharedFeeder, Source};
use cache_kit_tests::{Gated, Row, Step};

type Service = CacheService<InMemoryBackend>;

async fn call(
    service: &Service,
    database: &Gated,
    strategy: CacheStrategy,
) -> Result<(Outcome, Option<u64>)> {
    let mut feeder = SharedFeeder::<Row>::new("k".to_owned());
    let outcome = service.execute(&mut feeder, database, strategy).await?;
    Ok((outcome, feeder.entity.map(|row| row.version)))
}

fn ready<T>(step: &mut Step<'_, Result<T>>) -> T {
    match step.poll() {
        Poll::Ready(answer) => answer.unwrap(),
        Poll::Pending => panic!("still waiting"),
    }
}

/// Runs `scene` on one service, and on two that share a store, with both engines.
async fn everywhere<F>(scene: impl Fn(Service, Service) -> F)
where
    F: Future<Output = ()>,
{
    for engine in [Engine::QuickCache, Engine::Moka] {
        let backend = InMemoryBackend::builder().engine(engine).build();
        let service = CacheService::new(backend);
        scene(service.clone(), service).await;
        let backend = InMemoryBackend::builder().engine(engine).build();
        scene(
            CacheService::new(backend.clone()),
            CacheService::new(backend),
        )
        .await;
    }
}

use CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};

#[tokio::test]
async fn a_slow_refresh_never_undoes_an_invalidation() {
    everywhere(|slow, other| async move {
        let database = Gated::closed();
        database.set("k", 1);
        let mut refresh = Step::new(call(&slow, &database, Refresh));
        assert!(refresh.poll().is_pending());
        database.set("k", 2);

        let mut invalidate = Step::new(call(&other, &database, Invalidate));
        assert!(invalidate.poll().is_pending());
        // The invalidation is done, its load is not: a reader gets nothing old.
        let (outcome, seen) = call(&slow, &database, Fresh).await.unwrap();
        assert_eq!((outcome.source(), seen), (Source::Nothing, None));

        database.let_through(2);
        let (outcome, seen) = ready(&mut refresh);
        assert_eq!((outcome.store(), seen), (StoreResult::Fenced, Some(1)));
        let (outcome, seen) = ready(&mut invalidate);
        assert_eq!((outcome.store(), seen), (StoreResult::Stored, Some(2)));
        assert_eq!(call(&slow, &database, Fresh).await.unwrap().1, Some(2));
        assert_eq!(call(&other, &database, Fresh).await.unwrap().1, Some(2));
    })
    .await;
}

#[tokio::test]
async fn the_invalidation_may_also_end_before_the_slow_refresh() {
    everywhere(|slow, other| async move {
        let database = Gated::closed();
        database.set("k", 1);
        let mut refresh = Step::new(call(&slow, &database, Refresh));
        assert!(refresh.poll().is_pending());
        database.set("k", 2);
        // The gate is fair: the first permit goes to the refresh, which is not polled.
        database.let_through(2);
        let mut invalidate = Step::new(call(&other, &database, Invalidate));
        assert_eq!(ready(&mut invalidate).1, Some(2));
        let (outcome, seen) = ready(&mut refresh);
        assert_eq!((outcome.store(), seen), (StoreResult::Fenced, Some(1)));
        assert_eq!(call(&slow, &database, Fresh).await.unwrap().1, Some(2));
    })
    .await;
}

#[tokio::test]
async fn a_reader_after_the_invalidation_never_joins_the_older_load() {
    everywhere(|slow, other| async move {
        let database = Gated::closed();
        database.set("k", 1);
        let mut refresh = Step::new(call(&slow, &database, Refresh));
        assert!(refresh.poll().is_pending());
        database.set("k", 2);
        let mut invalidate = Step::new(call(&other, &database, Invalidate));
        assert!(invalidate.poll().is_pending());
        invalidate.cancel();

        let mut reader = Step::new(call(&slow, &database, Refresh));
        assert!(reader.poll().is_pending());
        database.let_through(3);
        assert_eq!(ready(&mut refresh).1, Some(1));
        assert_eq!(ready(&mut reader).1, Some(2));
        assert_eq!(call(&slow, &database, Fresh).await.unwrap().1, Some(2));
    })
    .await;
}

#[tokio::test]
async fn readers_after_the_invalidation_share_its_load() {
    let service = CacheService::new(InMemoryBackend::new());
    let database = Gated::closed();
    database.set("k", 1);
    let mut invalidate = Step::new(call(&service, &database, Invalidate));
    let mut readers: Vec<_> = (0..5)
        .map(|_| Step::new(call(&service, &database, Refresh)))
        .collect();
    assert!(invalidate.poll().is_pending());
    for reader in &mut readers {
        assert!(reader.poll().is_pending());
    }
    database.let_through(1);
    assert_eq!(ready(&mut invalidate).1, Some(1));
    for reader in &mut readers {
        let (outcome, seen) = ready(reader);
        assert_eq!((outcome.source(), seen), (Source::Shared, Some(1)));
    }
    assert_eq!(database.loads(), 1);
}

#[tokio::test]
async fn a_slow_bypass_never_undoes_an_invalidation() {
    everywhere(|slow, other| async move {
        let database = Gated::open();
        database.set("k", 1);
        call(&slow, &database, Refresh).await.unwrap();
        let database = Gated::closed();
        database.set("k", 1);
        let mut bypass = Step::new(call(&slow, &database, Bypass));
        assert!(bypass.poll().is_pending());
        // The old entry stays there meanwhile.
        assert_eq!(call(&other, &database, Fresh).await.unwrap().1, Some(1));
        database.set("k", 2);
        database.let_through(2);
        let mut invalidate = Step::new(call(&other, &database, Invalidate));
        assert_eq!(ready(&mut invalidate).1, Some(2));
        let (outcome, seen) = ready(&mut bypass);
        assert_eq!((outcome.store(), seen), (StoreResult::Fenced, Some(1)));
        assert_eq!(call(&slow, &database, Fresh).await.unwrap().1, Some(2));
    })
    .await;
}

#[tokio::test]
async fn of_two_slow_invalidations_the_older_does_not_store() {
    everywhere(|one, two| async move {
        let database = Gated::closed();
        database.set("k", 1);
        let mut older = Step::new(call(&one, &database, Invalidate));
        assert!(older.poll().is_pending());
        database.set("k", 2);
        let mut newer = Step::new(call(&two, &database, Invalidate));
        assert!(newer.poll().is_pending());
        database.let_through(2);
        assert_eq!(ready(&mut newer).0.store(), StoreResult::Stored);
        assert_eq!(ready(&mut older).0.store(), StoreResult::Fenced);
        assert_eq!(call(&one, &database, Fresh).await.unwrap().1, Some(2));
    })
    .await;
}

#[tokio::test]
async fn a_store_overtakes_an_older_load() {
    everywhere(|slow, fast| async move {
        let database = Gated::closed();
        database.set("k", 1);
        let mut older = Step::new(call(&slow, &database, Bypass));
        assert!(older.poll().is_pending());
        database.set("k", 2);
        database.let_through(2);
        let mut newer = Step::new(call(&fast, &database, Bypass));
        assert_eq!(ready(&mut newer).0.store(), StoreResult::Stored);
        assert_eq!(ready(&mut older).0.store(), StoreResult::Fenced);
        assert_eq!(call(&slow, &database, Fresh).await.unwrap().1, Some(2));
    })
    .await;
}

#[tokio::test]
async fn an_invalidation_without_a_load_is_one_like_any_other() {
    everywhere(|slow, other| async move {
        let database = Gated::closed();
        database.set("k", 1);
        let mut refresh = Step::new(call(&slow, &database, Refresh));
        assert!(refresh.poll().is_pending());
        database.set("k", 2);
        let done = other.invalidate::<Row>(&"k".to_owned()).await.unwrap();
        assert_eq!(done, Invalidated::Done);
        let mut reader = Step::new(call(&slow, &database, Refresh));
        assert!(reader.poll().is_pending());
        assert_eq!(
            database.loads(),
            2,
            "the invalidation loads nothing, the reader does not join"
        );
        database.let_through(2);
        assert_eq!(ready(&mut refresh).0.store(), StoreResult::Fenced);
        assert_eq!(ready(&mut reader).1, Some(2));
        other.invalidate::<Row>(&"k".to_owned()).await.unwrap();
        assert!(slow.backend().is_empty());
    })
    .await;
}

#[tokio::test]
async fn clear_is_an_invalidation_of_everything() {
    everywhere(|slow, other| async move {
        let database = Gated::closed();
        database.set("k", 1);
        let mut refresh = Step::new(call(&slow, &database, Refresh));
        assert!(refresh.poll().is_pending());
        database.set("k", 2);
        other.backend().clear();
        let mut reader = Step::new(call(&slow, &database, Refresh));
        assert!(reader.poll().is_pending());
        database.let_through(2);
        assert_eq!(ready(&mut refresh).0.store(), StoreResult::Fenced);
        assert_eq!(ready(&mut reader).1, Some(2));
        assert_eq!(call(&other, &database, Fresh).await.unwrap().1, Some(2));
        other.backend().clear();
        assert!(slow.backend().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_successor_of_a_dropped_leader_is_fenced_like_the_leader() {
    everywhere(|slow, other| async move {
        let database = Gated::closed();
        database.set("k", 1);
        let mut leader = Step::new(call(&slow, &database, Refresh));
        let mut joined = Step::new(call(&slow, &database, Refresh));
        assert!(leader.poll().is_pending());
        assert!(joined.poll().is_pending());
        leader.cancel();
        database.set("k", 2);
        let mut invalidate = Step::new(call(&other, &database, Invalidate));
        assert!(invalidate.poll().is_pending());
        assert!(joined.poll().is_pending());
        database.let_through(2);
        assert_eq!(ready(&mut joined).0.store(), StoreResult::Fenced);
        assert_eq!(ready(&mut invalidate).1, Some(2));
        assert_eq!(call(&slow, &database, Fresh).await.unwrap().1, Some(2));
    })
    .await;
}
