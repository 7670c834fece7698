//! Dropping everything of a type, or of a namespace.

use std::time::Duration;

use cache_kit::CacheStrategy::{self, Fresh, Refresh};
use cache_kit::backend::{
    AnyBackend, CacheBackend, Cleared, Encoded, EncodedConfig, Engine, InMemoryBackend, Invalidated,
};
use cache_kit::testing::{Fault, FaultyBackend, RecordingMetrics};
use cache_kit::{
    CacheExpander, CacheService, Error, ErrorKind, InMemoryRepository, Outcome, SharedFeeder,
    Source,
};
use cache_kit_tests::{Gated, Ghost, Ghosts, Row, Step, row};

use super::counted::Counted;
use super::shelf::{Fate, Op, Shelf};

fn service<B: CacheBackend>(backend: B, namespace: Option<&str>) -> CacheService<B> {
    let expander = CacheExpander::new(backend);
    match namespace {
        Some(namespace) => expander.with_namespace(namespace).unwrap().into(),
        None => expander.into(),
    }
}

async fn read<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Gated,
    id: &str,
    strategy: CacheStrategy,
) -> (Outcome, Option<u64>) {
    let mut feeder = SharedFeeder::<Row>::new(id.to_owned());
    let outcome = service.execute(&mut feeder, database, strategy).await;
    (outcome.unwrap(), feeder.entity.map(|row| row.version))
}

/// Whether the cache has row and ghost `id`.
async fn has<B: CacheBackend>(service: &CacheService<B>, database: &Gated, id: &str) -> [bool; 2] {
    let row = read(service, database, id, Fresh).await.0.is_hit();
    let mut ghost = SharedFeeder::<Ghost>::new(id.to_owned());
    let outcome = service.execute(&mut ghost, &Ghosts(database), Fresh).await;
    [row, outcome.unwrap().is_hit()]
}

/// Fills the cache with rows and ghosts, one of which is an absence.
async fn fill<B: CacheBackend>(service: &CacheService<B>, database: &Gated, ids: &[&str]) {
    for id in ids {
        read(service, database, id, Refresh).await;
        let mut ghost = SharedFeeder::<Ghost>::new((*id).to_owned());
        let ghosts = Ghosts(database);
        let outcome = service.execute(&mut ghost, &ghosts, Refresh).await;
        outcome.unwrap();
    }
}

async fn one_type_of_one_namespace<B: CacheBackend + Clone>(backend: B) {
    let database = Gated::open();
    database.set("a", 1);
    database.set("b", 1);
    let spaces = [None, Some("blue"), Some("blue2"), Some("green")];
    let services = spaces.map(|space| service(backend.clone(), space));
    for service in &services {
        fill(service, &database, &["a", "b"]).await;
    }
    let [bare, blue, ..] = &services;
    let error = bare.clear_namespace().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("no namespace"), "{error}");

    let both = [true, true];
    let all_left = [
        [both, [false, true], both, both],
        [both, [false; 2], both, both],
        [[false, true], [false; 2], both, both],
        [[false; 2], [false; 2], both, both],
    ];
    for (step, left) in all_left.into_iter().enumerate() {
        let cleared = match step {
            0 => blue.clear::<Row>().await,
            1 => blue.clear_namespace().await,
            2 => bare.clear::<Row>().await,
            _ => bare.clear::<Ghost>().await,
        };
        let cleared = cleared.unwrap();
        assert_eq!((cleared.keys, cleared.invalidated), (2, Invalidated::Done));
        for (service, left) in services.iter().zip(left) {
            for id in ["a", "b"] {
                assert_eq!(has(service, &database, id).await, left, "step {step}");
            }
        }
    }
    assert_eq!(blue.clear_namespace().await.unwrap(), Cleared::nothing());
}

#[tokio::test]
async fn a_clear_drops_one_type_or_one_namespace_and_nothing_else() {
    for engine in [Engine::QuickCache, Engine::Moka] {
        let memory = InMemoryBackend::builder().engine(engine).build();
        one_type_of_one_namespace(memory.clone()).await;
        memory.clear();
        one_type_of_one_namespace(AnyBackend::from(memory)).await;
    }
    one_type_of_one_namespace(Encoded::over(Shelf::default())).await;
    let config = EncodedConfig::new();
    one_type_of_one_namespace(AnyBackend::custom(Shelf::default(), config)).await;
    let wrapped = FaultyBackend::new(Counted::new(InMemoryBackend::new()));
    one_type_of_one_namespace(wrapped).await;
}

/// More than one step of it.
#[tokio::test]
async fn memory_is_cleared_in_steps_between_which_other_tasks_run() {
    const ROWS: u64 = 10_000;
    for engine in [Engine::QuickCache, Engine::Moka] {
        let memory = InMemoryBackend::builder().engine(engine).build();
        let service = CacheService::new(memory.clone());
        let table = InMemoryRepository::<Row>::new();
        let ids: Vec<String> = (0..ROWS).map(|n| n.to_string()).collect();
        for id in &ids {
            table.insert(id.clone(), row(id, 1));
        }
        let rows = service.repository(table);
        rows.get_many(&ids).await.unwrap();
        assert_eq!(memory.len() as u64, ROWS);

        let mut clear = Step::new(rows.clear());
        let mut polls = 0;
        let cleared = loop {
            polls += 1;
            if let std::task::Poll::Ready(cleared) = clear.poll() {
                break cleared.unwrap();
            }
            let left = memory.len() as u64;
            assert!(
                left >= ROWS.saturating_sub(polls * 1_000),
                "{left} after {polls}"
            );
        };
        assert!(polls >= 10, "{polls}");
        assert_eq!((cleared.keys, memory.len()), (ROWS, 0));
    }
}

/// The reader begins after the clear; the load has read the row before it.
async fn a_load_under_way<B: CacheBackend>(backend: B) {
    let service = CacheService::new(backend);
    let database = Gated::closed();
    let rows = service.repository_of::<Row, _>(database.clone());
    let id = "k".to_owned();
    database.set("k", 1);
    let old = tokio::spawn({
        let (rows, id) = (rows.clone(), id.clone());
        async move { rows.get(&id).await.unwrap().map(|row| row.version) }
    });
    database.entered(1).await;

    database.set("k", 2);
    let cleared = service.clear::<Row>().await.unwrap();
    assert_eq!(cleared.invalidated, Invalidated::Done);
    let new = tokio::spawn({
        let (rows, id) = (rows.clone(), id.clone());
        async move { rows.get(&id).await.unwrap().map(|row| row.version) }
    });
    database.entered(2).await;
    database.let_through(2);
    assert_eq!(old.await.unwrap(), Some(1), "it had begun before");
    assert_eq!(
        new.await.unwrap(),
        Some(2),
        "it does not follow the older load"
    );
    assert_eq!(rows.service().expander().loads_in_flight(), 0);
    let (outcome, seen) = read(&service, &database, "k", Fresh).await;
    assert!(seen.is_none_or(|seen| seen == 2), "{outcome:?} {seen:?}");
}

#[tokio::test]
async fn a_load_that_was_under_way_is_neither_stored_nor_joined() {
    a_load_under_way(InMemoryBackend::new()).await;
    a_load_under_way(InMemoryBackend::builder().engine(Engine::Moka).build()).await;
    a_load_under_way(Encoded::over(Shelf::default())).await;
}

/// A shelf with rows `0..9`, and a service that knows it.
async fn shelf() -> (Shelf, CacheService<Encoded<Shelf>>, Gated, RecordingMetrics) {
    let shelf = Shelf::default();
    let metrics = RecordingMetrics::new();
    let service = CacheService::with_metrics(Encoded::over(shelf.clone()), metrics.boxed());
    let database = Gated::open();
    for n in 0..9 {
        let id = n.to_string();
        database.set(&id, 1);
        read(&service, &database, &id, Refresh).await;
    }
    (shelf, service, database, metrics)
}

async fn left(service: &CacheService<Encoded<Shelf>>, database: &Gated) -> usize {
    let mut left = 0;
    for n in 0..9 {
        let (outcome, _) = read(service, database, &n.to_string(), Fresh).await;
        left += usize::from(outcome.is_hit());
    }
    left
}

#[tokio::test]
async fn a_store_is_walked_over_in_steps_and_each_is_dropped_before_the_next() {
    let (shelf, service, database, _) = shelf().await;
    shelf.put("other:1", b"of another program".to_vec());
    let cleared = service.clear::<Row>().await.unwrap();
    assert_eq!((cleared.keys, cleared.invalidated), (9, Invalidated::Done));
    assert_eq!(left(&service, &database).await, 0);
    assert!(shelf.value("other:1").is_some());
    // Three keys at a time, and the one in front of them.
    assert_eq!(shelf.count(Op::Scan), 4);
    let dropped = shelf.keys(Op::Delete);
    assert_eq!(dropped[0], ["row:0", "row:1"]);
    assert!(dropped.iter().all(|keys| keys.len() <= 3), "{dropped:?}");
}

#[tokio::test]
async fn a_step_that_fails_says_how_much_was_dropped_and_the_call_may_be_made_again() {
    let (shelf, service, database, metrics) = shelf().await;
    shelf.make(
        Op::Scan,
        [Fate::Works, Fate::Works, Fate::Fails, Fate::Works],
    );
    let error = service.clear::<Row>().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cache backend failed: clear row:* after 6 keys: on purpose"
    );
    assert!(error.is_retryable());
    assert_eq!(metrics.errors().len(), 1, "{:?}", metrics.errors());
    assert_eq!(left(&service, &database).await, 3);
    assert_eq!(service.clear::<Row>().await.unwrap().keys, 3);
    assert_eq!(left(&service, &database).await, 0);

    // A lost connection costs a step that is sent again.
    read(&service, &database, "1", Refresh).await;
    shelf.make(Op::Scan, [Fate::Lost, Fate::Works]);
    assert_eq!(service.clear::<Row>().await.unwrap().keys, 1);

    shelf.make(Op::Scan, [Fate::Refused]);
    let error = service.clear::<Row>().await.unwrap_err();
    assert!(matches!(error, Error::BackendRefused(_)), "{error}");
    assert!(service.health().last_refusal.is_some());
}

#[tokio::test]
async fn a_key_that_the_store_refuses_to_drop_is_pending_and_not_served() {
    let (shelf, service, database, _) = shelf().await;
    shelf.make(Op::Delete, [Fate::Works, Fate::Refused, Fate::Works]);
    let cleared = service.clear::<Row>().await.unwrap();
    assert_eq!(
        (cleared.keys, cleared.invalidated),
        (6, Invalidated::Pending)
    );
    assert_eq!(service.health().pending_invalidations, 3);
    let (outcome, seen) = read(&service, &database, "4", Refresh).await;
    assert_eq!((outcome.source(), seen), (Source::Repository, Some(1)));

    let service = CacheService::new(FaultyBackend::new(InMemoryBackend::new()));
    service.backend().fail(Fault::InvalidationsPending);
    let cleared = service.clear::<Row>().await.unwrap();
    assert_eq!(cleared.invalidated, Invalidated::Pending);
    service.backend().fail(Fault::Down);
    service.clear::<Row>().await.unwrap_err();
}

#[tokio::test]
async fn a_clear_that_is_dropped_leaves_nothing_half_done() {
    let (shelf, service, database, _) = shelf().await;
    shelf.make(Op::Delete, [Fate::Works, Fate::Hangs]);
    let mut clear = Step::new(service.clear::<Row>());
    assert!(clear.poll().is_pending());
    // The keys of the second step may or may not be dropped by now.
    clear.cancel();
    assert_eq!(service.health().pending_invalidations, 3);
    shelf.make(Op::Delete, [Fate::Works]);
    let cleared = service.clear::<Row>().await.unwrap();
    assert_eq!(cleared.invalidated, Invalidated::Done);
    assert_eq!(left(&service, &database).await, 0);
    assert_eq!(service.health().pending_invalidations, 0);
}

#[tokio::test(start_paused = true)]
async fn a_step_takes_no_longer_than_an_operation() {
    let (shelf, service, ..) = shelf().await;
    shelf.make(Op::Scan, [Fate::Works, Fate::Hangs]);
    let begun = tokio::time::Instant::now();
    let error = service.clear::<Row>().await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    assert!(error.to_string().contains("after 3 keys"), "{error}");
    assert!(
        begun.elapsed() <= Duration::from_millis(600),
        "{:?}",
        begun.elapsed()
    );
}
