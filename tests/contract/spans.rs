//! Spans of calls: what they say, what is inside what, and what they never say.

use std::time::Duration;

use cache_kit::Source;
use cache_kit::backend::{Encoded, EncodedConfig, InMemoryBackend};
use cache_kit::repository::from_fn;
use cache_kit::{CacheExpander, CacheService, CacheStrategy, Error, SharedFeeder};
use cache_kit_tests::traced::{Traced, trace};
use cache_kit_tests::{Gated, Row};
use tracing::Instrument;
use tracing::level_filters::LevelFilter;

use super::shelf::Shelf;

fn rows() -> Gated {
    let database = Gated::open();
    database.set("k", 1);
    database.set("secret-id", 7);
    database
}

async fn get(service: &CacheService<InMemoryBackend>, id: &str, strategy: CacheStrategy) {
    let mut feeder = SharedFeeder::<Row>::new(id.to_owned());
    let answer = service.execute(&mut feeder, &rows(), strategy).await;
    assert!(answer.is_ok(), "{answer:?}");
}

fn shape(traced: &Traced) -> Vec<(String, Option<String>)> {
    let spans = traced.spans().into_iter();
    spans.map(|span| (span.name, span.parent)).collect()
}

#[tokio::test]
async fn a_miss_has_its_steps_inside_and_a_hit_says_where_it_came_from() {
    let (traced, _guard) = trace(LevelFilter::DEBUG);
    let service = CacheService::new(InMemoryBackend::new());
    get(&service, "k", CacheStrategy::Refresh).await;
    let inside = Some("cache.get".to_owned());
    let steps = ["cache.look_up", "cache.lease", "cache.load", "cache.store"];
    let mut wanted = vec![("cache.get".to_owned(), None)];
    wanted.extend(steps.map(|step| (step.to_owned(), inside.clone())));
    assert_eq!(shape(&traced), wanted);
    let miss = &traced.spans()[0];
    for (name, value) in [
        ("otel.name", "cache.get row"),
        ("cache.entity", "row"),
        ("cache.strategy", "refresh"),
        ("cache.hit", "false"),
        ("cache.source", "repository"),
        ("cache.stored", "true"),
    ] {
        assert!(miss.says(name, value), "{name}={value}: {miss:?}");
    }
    assert!(traced.spans().iter().all(|span| span.closed));

    traced.clear();
    get(&service, "k", CacheStrategy::Refresh).await;
    let spans = traced.spans();
    assert_eq!(spans.len(), 1, "{spans:?}");
    for (name, value) in [
        ("cache.hit", "true"),
        ("cache.source", "cache"),
        ("cache.age_ms", "0"),
        ("cache.stale", "false"),
    ] {
        assert!(
            spans[0].says(name, value) || name == "cache.age_ms",
            "{name}: {spans:?}"
        );
    }
    assert!(spans[0].fields.contains("cache.age_ms="), "{spans:?}");
}

#[tokio::test]
async fn batches_invalidations_and_owned_repositories_have_spans_too() {
    let (traced, _guard) = trace(LevelFilter::DEBUG);
    let service = CacheService::new(InMemoryBackend::new());
    let rows = service.repository_of::<Row, _>(rows());
    let ids = ["k".to_owned(), "none".to_owned()];
    rows.get_many(&ids).await.unwrap();
    rows.get_many(&ids).await.unwrap();
    let many = traced.spans_of("cache.get_many");
    assert_eq!(many.len(), 2);
    assert!(many[0].says("cache.hits", "0") && many[0].says("cache.loaded", "2"));
    assert!(many[1].says("cache.hits", "1") && many[1].says("cache.keys", "2"));

    rows.invalidate(&ids[0]).await.unwrap();
    rows.invalidate_many(&ids).await.unwrap();
    service.invalidate_text("row:k").await.unwrap();
    let dropped = traced.spans_of("cache.invalidate");
    assert_eq!(dropped.len(), 3);
    assert!(
        dropped
            .iter()
            .all(|span| span.says("cache.invalidated", "done"))
    );
    assert!(dropped[0].says("cache.entity", "row") && dropped[1].says("cache.keys", "2"));

    traced.clear();
    rows.get(&ids[0]).await.unwrap();
    rows.get(&ids[0]).await.unwrap();
    let gets = traced.spans_of("cache.get");
    assert!(gets[0].says("cache.hit", "false") && gets[1].says("cache.hit", "true"));
    // The load ran in a task of its own, but within the call.
    let load = &traced.spans_of("cache.load")[0];
    assert_eq!(load.parent.as_deref(), Some("cache.get"));
}

#[tokio::test]
async fn a_repository_in_a_task_of_its_own_is_within_the_span_of_the_request() {
    // Only spans of the program are listened to.
    let (traced, _guard) = trace(LevelFilter::INFO);
    let service = CacheService::new(InMemoryBackend::new());
    let rows = service.repository(from_fn(|id: &String| {
        let row = Row {
            id: id.clone(),
            version: 1,
        };
        async move {
            tokio::task::yield_now().await;
            let _query = tracing::info_span!("SELECT").entered();
            Ok(Some(row))
        }
    }));
    let id = "k".to_owned();
    let request = tracing::info_span!("GET /rows/k");
    rows.get(&id).instrument(request).await.unwrap();
    let shape = shape(&traced);
    let query = ("SELECT".to_owned(), Some("GET /rows/k".to_owned()));
    assert_eq!(shape, [("GET /rows/k".to_owned(), None), query]);
}

#[tokio::test]
async fn keys_are_shown_only_where_they_are_asked_for() {
    let (traced, _guard) = trace(LevelFilter::TRACE);
    for asked in [false, true] {
        traced.clear();
        let expander = CacheExpander::new(InMemoryBackend::new());
        let expander = match asked {
            true => expander.with_traced_keys(),
            false => expander,
        };
        let service = CacheService::from(expander);
        get(&service, "secret-id", CacheStrategy::Refresh).await;
        get(&service, "secret-id", CacheStrategy::Refresh).await;
        service
            .invalidate::<Row>(&"secret-id".to_owned())
            .await
            .unwrap();
        let database = Gated::open();
        let mut feeder = SharedFeeder::<Row>::new("secret-id".to_owned());
        database.fail(Some(Error::RepositoryError(
            "no secret-id in the table".into(),
        )));
        let failed = service.execute(&mut feeder, &database, CacheStrategy::Refresh);
        assert!(failed.await.is_err());
        let all = format!("{:?} {:?}", traced.spans(), traced.lines());
        assert_eq!(all.contains("secret-id"), asked, "{all}");
        let kind = traced.spans_of("cache.get");
        assert!(kind[2].says("error.kind", "repository"), "{kind:?}");
        if asked {
            assert!(traced.spans()[0].says("cache.key", "row:secret-id"));
        }
    }
}

#[tokio::test]
async fn warnings_are_few_however_many_calls_there_are() {
    let (traced, _guard) = trace(LevelFilter::WARN);
    let config = EncodedConfig::new().with_max_value_bytes(300);
    let service = CacheService::new(Encoded::with_config(Shelf::default(), config));
    let rows = service.repository(from_fn(|id: &String| {
        std::future::ready(Ok(Some(Row {
            id: id.clone(),
            version: 1,
        })))
    }));
    for id in 0..100 {
        let id = format!("{id}{}", "x".repeat(1_000));
        rows.get(&id).await.unwrap();
    }
    let lines = traced.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("larger than its type or the store allows"),
        "{lines:?}"
    );
    assert!(lines[0].contains("cache.entity=row"), "{lines:?}");
    assert!(!lines[0].contains("xxx"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_load_that_fails_behind_a_stale_entry_is_noticed() {
    let (traced, _guard) = trace(LevelFilter::INFO);
    let clock = cache_kit::testing::ManualClock::new();
    let expander = CacheExpander::new(InMemoryBackend::new()).with_clock(clock.clock());
    let policy = cache_kit::FreshnessPolicy::default().with_stale_if_error(Duration::from_secs(60));
    let service = CacheService::from(expander.with_freshness(policy));
    let database = rows();
    let rows = service.repository_of::<Row, _>(database.clone());
    let id = "k".to_owned();
    let minute = Duration::from_secs(60);
    rows.get(&id).ttl(minute).await.unwrap();
    clock.advance(minute + Duration::from_secs(1));
    database.fail(Some(Error::RepositoryError("k is locked".into())));
    assert!(rows.get(&id).await.unwrap().is_some());
    let lines = traced.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("older entries are served"), "{lines:?}");
    assert!(lines[0].contains("error.kind=repository"), "{lines:?}");
    assert!(
        !lines[0].contains("locked"),
        "what a repository says may be personal: {lines:?}"
    );

    database.fail(None);
    for _ in 0..3 {
        // Ten seconds without a failure: another row may have failed just now.
        assert!(traced.lines_with("loads succeed again").is_empty());
        clock.advance(minute);
        let (_, outcome) = rows.get(&id).ttl(minute).with_outcome().await.unwrap();
        assert_eq!(outcome.source(), Source::Repository);
        tokio::time::advance(Duration::from_secs(4)).await;
    }
    for _ in 0..2 {
        clock.advance(minute);
        rows.get(&id).ttl(minute).await.unwrap();
    }
    let lines = traced.lines_with("loads succeed again");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("INFO") && lines[0].contains("cache.entity=row"));
    assert_eq!(traced.lines().len(), 2, "{:?}", traced.lines());
}
