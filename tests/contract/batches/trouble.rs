//! Which failures affect which keys.

use std::time::Duration;

use cache_kit::CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::InMemoryBackend;
use cache_kit::observability::{Degraded, StoreResult};
use cache_kit::repository;
use cache_kit::testing::{Fault, FaultyBackend};
use cache_kit::{
    CacheExpander, CacheService, DataRepository, Error, ErrorKind, OperationConfig, Result,
};
use cache_kit_tests::{Gated, Row, Step, row};

use super::{Log, Rows, batch, idle, ready, scene, single, stores};
use crate::counted::Counted;

#[tokio::test]
async fn an_entry_too_large_spoils_only_itself() {
    let backend = InMemoryBackend::builder()
        .max_weight(
            10_000,
            |weighed| if weighed.key() == "row:b" { 1 << 40 } else { 1 },
        )
        .build();
    let service = CacheService::new(backend);
    let (_, database) = scene(Gated::open());
    let (outcomes, seen) = batch(&service, &database, &["a", "b", "c"], Refresh)
        .await
        .unwrap();
    assert_eq!(seen, [Some(1); 3]);
    use StoreResult::{Stored, TooLarge};
    assert_eq!(stores(&outcomes), [Stored, TooLarge, Stored]);
}

#[tokio::test]
async fn a_failing_cache_degrades_a_batch_as_it_does_a_call() {
    let backend = FaultyBackend::new(Counted::new(InMemoryBackend::new()));
    let service = CacheService::new(backend.clone());
    let (_, database) = scene(Gated::open());
    let degraded = |read, store, invalidation_pending| {
        let mut degraded = Degraded::default();
        degraded.read = read;
        degraded.store = store;
        degraded.invalidation_pending = invalidation_pending;
        degraded
    };
    for (fault, strategy, expected) in [
        (Fault::Down, Refresh, degraded(true, true, false)),
        (Fault::Down, Bypass, degraded(false, true, false)),
        (Fault::Reads, Refresh, degraded(true, true, false)),
        (Fault::Leases, Refresh, degraded(false, true, false)),
        (Fault::Stores, Refresh, degraded(false, true, false)),
        (
            Fault::InvalidationsPending,
            Invalidate,
            degraded(false, true, true),
        ),
    ] {
        backend.fail(fault);
        let (outcomes, seen) = batch(&service, &database, &["a", "b"], strategy)
            .await
            .unwrap();
        assert_eq!(seen, [Some(1), Some(1)]);
        for outcome in outcomes {
            assert_eq!(outcome.degraded(), expected, "{fault:?} {strategy}");
            let alone = single(&service, &database, "c", strategy).await.unwrap();
            assert_eq!(outcome.degraded(), alone.0.degraded());
            assert_eq!(outcome.store(), alone.0.store());
        }
        idle(&service);
    }
    backend.fail(Fault::Down);
    for (strategy, said) in [(Fresh, "read row:a"), (Invalidate, "invalidate row:a")] {
        let error = batch(&service, &database, &["a", "b"], strategy)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Backend);
        assert!(error.to_string().contains(said), "{error}");
    }
    backend.fail(Fault::InvalidationsPending);
    let strict = OperationConfig::default().with_strict_invalidation();
    let mut rows = Rows::of(&["a", "b"]);
    let error = service
        .execute_many_with_config(&mut rows, &database, Invalidate, strict)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    assert!(rows.fed.is_empty());
    idle(&service);
    assert_eq!(backend.inner().leases(), 0);
}

#[tokio::test]
async fn a_failing_load_fails_every_caller_with_its_own_key() {
    let (service, database) = scene(Gated::closed());
    database.let_through(1);
    single(&service, &database, "d", Refresh).await.unwrap();
    database.fail(Some(Error::repository(std::io::Error::other("no disk"))));
    let mut leads = Step::new(batch(&service, &database, &["a", "d", "b", "c"], Refresh));
    let mut alone = Step::new(single(&service, &database, "b", Refresh));
    let mut joins = Step::new(batch(&service, &database, &["c", "a"], Refresh));
    assert!(leads.poll().is_pending() && alone.poll().is_pending() && joins.poll().is_pending());
    database.let_through(1);

    let error = ready(&mut leads).unwrap_err();
    assert_eq!(
        error.to_string(),
        "repository failed: load row:a and 2 more"
    );
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.downcast_ref::<std::io::Error>().is_some());
    let error = ready(&mut alone).unwrap_err();
    assert_eq!(error.to_string(), "repository failed: load row:b");
    let error = ready(&mut joins).unwrap_err();
    let said = error.to_string();
    assert!(said.ends_with("load row:c") || said.ends_with("load row:a"));
    assert_eq!(database.loads(), 2, "nobody repeats it");
    assert_eq!(service.backend().leases(), 0);
    idle(&service);

    database.fail(None);
    database.let_through(1);
    let (_, seen) = batch(&service, &database, &["a", "b", "c"], Refresh)
        .await
        .unwrap();
    assert_eq!(seen, [Some(1); 3]);
}

#[tokio::test]
async fn a_wrong_number_of_rows_is_an_error_and_no_mix_up() {
    struct Careless(Gated, isize);

    impl DataRepository<Row> for Careless {
        async fn fetch_by_id(&self, id: &String) -> Result<Option<Row>> {
            self.0.fetch_by_id(id).await
        }

        async fn fetch_by_ids(&self, ids: &[String]) -> Result<Vec<Option<Row>>> {
            let mut rows = self.0.fetch_by_ids(ids).await?;
            rows.resize(ids.len().saturating_add_signed(self.1), None);
            Ok(rows)
        }
    }

    for (more, said) in [(1, "4 rows for 3 ids"), (-1, "2 rows for 3 ids")] {
        let (service, database) = scene(Gated::closed());
        let careless = Careless(database.clone(), more);
        let mut rows = Rows::of(&["a", "b", "c"]);
        let config = OperationConfig::default().with_retry(3);
        let mut leads =
            Step::new(service.execute_many_with_config(&mut rows, &careless, Refresh, config));
        assert!(leads.poll().is_pending());
        let mut alone = Step::new(single(&service, &database, "c", Refresh));
        assert!(alone.poll().is_pending());
        database.let_through(1);
        let error = ready(&mut leads).unwrap_err();
        let begin = format!("repository failed: load row:a and 2 more: fetch_by_ids gave {said}: ");
        let text = error.to_string();
        assert!(
            text.starts_with(&begin) && text.contains("Careless"),
            "{text}"
        );
        assert!(ready(&mut alone).unwrap_err().to_string().contains(said));
        drop(leads);
        assert!(rows.fed.is_empty());
        assert_eq!(database.loads(), 1, "trying again would not mend it");
        let (_, seen) = batch(&service, &database, &["a", "b", "c"], Fresh)
            .await
            .unwrap();
        assert_eq!(seen, [None; 3]);
        assert_eq!(service.backend().leases(), 0);
        idle(&service);
    }
}

#[tokio::test(start_paused = true)]
async fn retries_deadline_and_panic_are_those_of_a_single_load() {
    let log = Log::default();
    let expander = CacheExpander::new(InMemoryBackend::new()).with_metrics(Box::new(log.clone()));
    let service = CacheService::from(expander);
    let (_, database) = scene(Gated::open());
    database.fail(Some(Error::RepositoryError("down".into())));
    let mut rows = Rows::of(&["a", "b"]);
    let config = OperationConfig::default().with_retry(2);
    let error = service
        .execute_many_with_config(&mut rows, &database, Refresh, config)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Repository);
    assert_eq!(database.loads(), 3);
    let retries: Vec<_> = log.take();
    assert_eq!(
        retries[2..],
        [
            "row:a Retried { retry: 1 }",
            "row:b Retried { retry: 1 }",
            "row:a Retried { retry: 2 }",
            "row:b Retried { retry: 2 }",
            "error row:a",
            "error row:b",
        ]
    );

    let (_, hanging) = scene(Gated::closed());
    let config = OperationConfig::default().with_load_deadline(Duration::from_secs(2));
    let begun = tokio::time::Instant::now();
    let error = service
        .execute_many_with_config(&mut rows, &hanging, Refresh, config)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), begun.elapsed().as_secs()),
        (ErrorKind::Timeout, 2)
    );

    let cursed = repository::from_fn(|id: &String| {
        let id = id.clone();
        async move {
            assert_ne!(id, "b", "row b is cursed");
            Ok(Some(row(&id, 1)))
        }
    });
    let error = service
        .execute_many(&mut rows, &cursed, Refresh)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(rows.fed.is_empty());
    idle(&service);
}
