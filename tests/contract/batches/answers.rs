//! What is fed, in which order, and which hooks are called.

use cache_kit::CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::InMemoryBackend;
use cache_kit::observability::StoreResult;
use cache_kit::testing::CountingRepository;
use cache_kit::{
    CacheFeed, CacheService, Error, ErrorKind, GenericFeeder, InMemoryRepository, Outcome, Result,
    SharedFeeder, Source,
};
use cache_kit_tests::{Gated, Row, row};

use super::{Rows, batch, idle, scene, single, sources, stores};
use crate::counted::Counted;

#[tokio::test]
async fn order_duplicates_and_holes() {
    let (service, database) = scene(Gated::open());
    database.set("b", 2);
    single(&service, &database, "a", Refresh).await.unwrap();
    service.backend().calls();

    let ids = ["c", "a", "nobody", "b", "a", "c", "nobody"];
    let (outcomes, seen) = batch(&service, &database, &ids, Refresh).await.unwrap();
    assert_eq!(
        seen,
        [Some(1), Some(1), None, Some(2), Some(1), Some(1), None]
    );
    use Source::{Cache, Repository};
    assert_eq!(
        sources(&outcomes),
        [
            Repository, Cache, Repository, Repository, Cache, Repository, Repository
        ]
    );
    use StoreResult::{NotTried, Stored};
    assert_eq!(
        stores(&outcomes),
        [
            Stored, NotTried, NotTried, Stored, NotTried, Stored, NotTried
        ]
    );
    assert_eq!(database.queries()[1..], [["c", "nobody", "b"]]);
    assert_eq!(
        service.backend().calls(),
        "release 1, get_many 1, lease_many 1, store_many 1"
    );
    assert_eq!(service.backend().leases(), 0);
    idle(&service);

    let (outcomes, _) = batch(&service, &database, &["b", "c", "a", "b"], Refresh)
        .await
        .unwrap();
    assert!(outcomes.iter().all(Outcome::is_hit));
    assert!(outcomes.iter().all(|outcome| outcome.age().is_some()));
    assert_eq!(service.backend().calls(), "get_many 1");
    assert_eq!(database.loads(), 2);
}

#[tokio::test]
async fn a_batch_of_nothing_is_fed_nothing() {
    let (service, database) = scene(Gated::open());
    for strategy in [Fresh, Refresh, Invalidate, Bypass] {
        let answer = batch(&service, &database, &[], strategy).await.unwrap();
        assert_eq!(answer, (vec![], vec![]));
    }
    assert_eq!(database.loads(), 0);
}

#[tokio::test]
async fn a_thousand_keys_are_one_query() {
    let rows = InMemoryRepository::<Row>::new();
    for n in 0..1_000 {
        rows.insert(n.to_string(), row(&n.to_string(), n));
    }
    let rows = CountingRepository::new(rows);
    let service = CacheService::new(Counted::new(InMemoryBackend::new()));
    for (queries, calls) in [
        (1, "get_many 1, lease_many 1, store_many 1"),
        (1, "get_many 1"),
    ] {
        let mut feeders: Vec<_> = (0..1_000)
            .map(|n: u64| SharedFeeder::<Row>::new(n.to_string()))
            .collect();
        service
            .execute_many(&mut feeders, &rows, Refresh)
            .await
            .unwrap();
        for (n, feeder) in (0..).zip(feeders) {
            assert_eq!(feeder.entity.unwrap().version, n);
        }
        assert_eq!(rows.queries(), queries);
        assert_eq!(service.backend().calls(), calls);
    }
}

#[tokio::test]
async fn hooks_are_called_for_every_position() {
    let (service, database) = scene(Gated::open());
    single(&service, &database, "a", Refresh).await.unwrap();
    let mut rows = Rows::of(&["b", "a", "nobody", "b"]);
    service
        .execute_many(&mut rows, &database, Refresh)
        .await
        .unwrap();
    assert_eq!(
        rows.said,
        [
            "miss 0 row:b",
            "hit 1 row:a",
            "miss 2 row:nobody",
            "miss 3 row:b",
            "loaded 0 b",
            "loaded 3 b",
        ]
    );
    for (strategy, said) in [
        (Fresh, vec!["hit 0 row:a", "miss 1 row:nobody"]),
        (Invalidate, vec!["loaded 0 a"]),
        (Bypass, vec!["loaded 0 a"]),
    ] {
        let mut rows = Rows::of(&["a", "nobody"]);
        service
            .execute_many(&mut rows, &database, strategy)
            .await
            .unwrap();
        assert_eq!(rows.said, said, "{strategy}");
        assert_eq!(rows.fed, [[Some(1), None]]);
    }
}

#[tokio::test]
async fn a_hook_that_refuses_ends_the_call_unfed() {
    for (refuse, loads) in [("validate", 0), ("hit", 0), ("miss", 0), ("loaded", 1)] {
        let (service, database) = scene(Gated::open());
        single(&service, &database, "a", Refresh).await.unwrap();
        let mut rows = Rows {
            refuse,
            ..Rows::of(&["a", "b"])
        };
        let error = service
            .execute_many(&mut rows, &database, Refresh)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(error.to_string().ends_with(&format!("{refuse} says no")));
        assert!(rows.fed.is_empty());
        assert_eq!(database.loads(), 1 + loads, "{refuse}");
        idle(&service);
    }
}

/// Each feeder of a slice is treated as if it were alone.
#[tokio::test]
async fn single_feeders_make_a_batch() {
    struct Alone {
        id: String,
        said: Vec<String>,
    }

    impl CacheFeed<Row> for Alone {
        fn entity_id(&mut self) -> String {
            self.said.push("id".to_owned());
            self.id.clone()
        }

        fn feed(&mut self, entity: Option<Row>) {
            let fed = entity.map_or(0, |row| row.version);
            self.said.push(format!("fed {fed}"));
        }

        fn validate(&self) -> Result<()> {
            match self.id.as_str() {
                "bad" => Err(Error::ValidationError("a bad id".into())),
                _ => Ok(()),
            }
        }

        fn on_hit(&mut self, key: &str) -> Result<()> {
            self.said.push(format!("hit {key}"));
            Ok(())
        }

        fn on_miss(&mut self, key: &str) -> Result<()> {
            self.said.push(format!("miss {key}"));
            Ok(())
        }

        fn on_loaded(&mut self, entity: &Row) -> Result<()> {
            self.said.push(format!("loaded {}", entity.version));
            Ok(())
        }
    }

    let (service, database) = scene(Gated::open());
    single(&service, &database, "a", Refresh).await.unwrap();
    let feeder = |id: &str| Alone {
        id: id.to_owned(),
        said: Vec::new(),
    };
    let mut feeders = ["b", "a", "nobody", "b"].map(feeder);
    service
        .execute_many(&mut feeders, &database, Refresh)
        .await
        .unwrap();
    assert_eq!(
        feeders.map(|feeder| feeder.said.join(", ")),
        [
            "id, miss row:b, loaded 1, fed 1",
            "id, hit row:a, fed 1",
            "id, miss row:nobody, fed 0",
            "id, miss row:b, loaded 1, fed 1",
        ]
    );

    let mut feeders = ["a", "bad"].map(feeder);
    let error = service
        .execute_many(&mut feeders[..], &database, Refresh)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(feeders.iter().all(|feeder| feeder.said.is_empty()));

    // Feeders that store their key lend it, and own the entity.
    let mut feeders: Vec<_> = ["d", "d"]
        .map(|id| GenericFeeder::<Row>::new(id.to_owned()))
        .into();
    service
        .execute_many(&mut feeders, &database, Refresh)
        .await
        .unwrap();
    assert!(
        feeders
            .iter()
            .all(|feeder| feeder.data == Some(row("d", 1)))
    );
}
