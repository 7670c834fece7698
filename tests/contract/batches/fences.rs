//! Fences hold for each key of a batch by itself.

use cache_kit::CacheService;
use cache_kit::CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::{InMemoryBackend, Invalidated};
use cache_kit::observability::StoreResult;
use cache_kit_tests::{Gated, Row, Step};

use super::{batch, idle, ready, scene, single, stores};
use crate::counted::Counted;

#[tokio::test]
async fn an_invalidation_of_one_key_fences_only_that_one() {
    for (strategy, before) in [(Refresh, None), (Bypass, Some(1)), (Invalidate, None)] {
        let (service, database) = scene(Gated::closed());
        if before.is_some() {
            database.let_through(1);
            batch(&service, &database, &["a", "b", "c"], Refresh)
                .await
                .unwrap();
        }
        let mut slow = Step::new(batch(&service, &database, &["a", "b", "c"], strategy));
        assert!(slow.poll().is_pending());
        let (_, seen) = batch(&service, &database, &["a", "b", "c"], Fresh)
            .await
            .unwrap();
        assert_eq!(seen, [before; 3], "{strategy}");
        database.set("b", 2);
        let done = service.invalidate::<Row>(&"b".to_owned()).await.unwrap();
        assert_eq!(done, Invalidated::Done);
        database.let_through(1);

        let (outcomes, seen) = ready(&mut slow).unwrap();
        assert_eq!(seen, [Some(1); 3]);
        use StoreResult::{Fenced, Stored};
        assert_eq!(stores(&outcomes), [Stored, Fenced, Stored], "{strategy}");
        let (_, seen) = batch(&service, &database, &["a", "b", "c"], Fresh)
            .await
            .unwrap();
        assert_eq!(seen, [Some(1), None, Some(1)], "{strategy}");
        idle(&service);
    }
}

#[tokio::test]
async fn an_invalidating_batch_fences_older_loads_of_each_key() {
    let backend = Counted::new(InMemoryBackend::new());
    let (here, there) = (
        CacheService::new(backend.clone()),
        CacheService::new(backend),
    );
    let (_, database) = scene(Gated::closed());
    let mut slow = Step::new(batch(&here, &database, &["a", "b"], Refresh));
    let mut other = Step::new(single(&here, &database, "d", Refresh));
    assert!(slow.poll().is_pending() && other.poll().is_pending());
    for id in ["b", "c", "d"] {
        database.set(id, 2);
    }
    let mut invalidate = Step::new(batch(&there, &database, &["d", "c", "b"], Invalidate));
    assert!(invalidate.poll().is_pending());
    database.let_through(3);
    let (outcomes, seen) = ready(&mut slow).unwrap();
    assert_eq!(seen, [Some(1), Some(1)]);
    use StoreResult::{Fenced, Stored};
    assert_eq!(stores(&outcomes), [Stored, Fenced]);
    assert_eq!(ready(&mut other).unwrap().0.store(), Fenced);
    let (outcomes, seen) = ready(&mut invalidate).unwrap();
    assert_eq!(seen, [Some(2); 3]);
    assert_eq!(stores(&outcomes), [Stored; 3]);
    let (_, seen) = batch(&here, &database, &["a", "b", "c", "d"], Fresh)
        .await
        .unwrap();
    assert_eq!(seen, [Some(1), Some(2), Some(2), Some(2)]);
}
