//! Which hook is called when, and that an answer is fed exactly once.

use std::time::Duration;

use cache_kit::backend::InMemoryBackend;
use cache_kit::testing::{Fault, FaultyBackend, ManualClock};
use cache_kit::{CacheExpander, CacheFeed, CacheStrategy, Error, OperationConfig, Result, Source};
use cache_kit_tests::{Gated, Row};

/// Records all hooks.
#[derive(Default)]
struct Diary {
    id: String,
    said: Vec<String>,
    refuse: &'static str,
}

impl Diary {
    fn about(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            ..Self::default()
        }
    }

    fn refusing(id: &str, hook: &'static str) -> Self {
        Self {
            refuse: hook,
            ..Self::about(id)
        }
    }

    fn note(&mut self, hook: &str, what: &str) -> Result<()> {
        self.said.push(format!("{hook} {what}"));
        if hook == self.refuse {
            return Err(Error::ValidationError(format!("{hook} says no")));
        }
        Ok(())
    }
}

impl CacheFeed<Row> for Diary {
    fn entity_id(&mut self) -> String {
        self.id.clone()
    }

    fn feed(&mut self, entity: Option<Row>) {
        let what = entity.map_or("none".to_owned(), |row| format!("v{}", row.version));
        self.said.push(format!("feed {what}"));
    }

    fn validate(&self) -> Result<()> {
        match self.refuse {
            "validate" => Err(Error::ValidationError("validate says no".into())),
            _ => Ok(()),
        }
    }

    fn on_hit(&mut self, key: &str) -> Result<()> {
        self.note("hit", key)
    }

    fn on_miss(&mut self, key: &str) -> Result<()> {
        self.note("miss", key)
    }

    fn on_loaded(&mut self, entity: &Row) -> Result<()> {
        let what = format!("v{}", entity.version);
        self.note("loaded", &what)
    }
}

use CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};

struct Scene {
    expander: CacheExpander<FaultyBackend<InMemoryBackend>>,
    database: Gated,
    time: ManualClock,
}

impl Scene {
    fn new() -> Self {
        let time = ManualClock::new();
        let backend = FaultyBackend::new(InMemoryBackend::new());
        let database = Gated::open();
        database.set("a", 1);
        Self {
            expander: CacheExpander::new(backend).with_clock(time.clock()),
            database,
            time,
        }
    }

    async fn call(&self, id: &str, strategy: CacheStrategy) -> (Result<Source>, Vec<String>) {
        self.call_with(Diary::about(id), strategy).await
    }

    async fn call_with(
        &self,
        mut diary: Diary,
        strategy: CacheStrategy,
    ) -> (Result<Source>, Vec<String>) {
        let config = OperationConfig::default().with_ttl(Duration::from_secs(10));
        let outcome = self
            .expander
            .with_config(&mut diary, &self.database, strategy, config)
            .await;
        (outcome.map(|outcome| outcome.source()), diary.said)
    }

    async fn expect(&self, id: &str, strategy: CacheStrategy, source: Source, said: &[&str]) {
        let (answered, diary) = self.call(id, strategy).await;
        assert_eq!(
            (answered.unwrap(), diary.as_slice().join(", ")),
            (source, said.join(", "))
        );
    }

    async fn expect_error(&self, id: &str, strategy: CacheStrategy, said: &[&str]) -> Error {
        let (answered, diary) = self.call(id, strategy).await;
        assert_eq!(diary, said);
        answered.unwrap_err()
    }
}

#[tokio::test]
async fn fresh_answers_from_the_cache_or_not_at_all() {
    let scene = Scene::new();
    scene
        .expect("a", Fresh, Source::Nothing, &["miss row:a", "feed none"])
        .await;
    scene
        .expect(
            "a",
            Refresh,
            Source::Repository,
            &["miss row:a", "loaded v1", "feed v1"],
        )
        .await;
    scene
        .expect("a", Fresh, Source::Cache, &["hit row:a", "feed v1"])
        .await;
    scene.time.advance(Duration::from_secs(10));
    scene
        .expect("a", Fresh, Source::Nothing, &["miss row:a", "feed none"])
        .await;
    assert_eq!(scene.database.loads(), 1);
}

#[tokio::test]
async fn refresh_loads_what_the_cache_has_not() {
    let scene = Scene::new();
    scene
        .expect(
            "a",
            Refresh,
            Source::Repository,
            &["miss row:a", "loaded v1", "feed v1"],
        )
        .await;
    scene.database.set("a", 2);
    scene
        .expect("a", Refresh, Source::Cache, &["hit row:a", "feed v1"])
        .await;
    scene.time.advance(Duration::from_millis(9_999));
    scene
        .expect("a", Refresh, Source::Cache, &["hit row:a", "feed v1"])
        .await;
    scene.time.advance(Duration::from_millis(1));
    scene
        .expect(
            "a",
            Refresh,
            Source::Repository,
            &["miss row:a", "loaded v2", "feed v2"],
        )
        .await;
}

#[tokio::test]
async fn a_row_that_does_not_exist_is_fed_as_none_and_not_stored() {
    let scene = Scene::new();
    for _ in 0..2 {
        scene
            .expect(
                "x",
                Refresh,
                Source::Repository,
                &["miss row:x", "feed none"],
            )
            .await;
    }
    scene
        .expect("x", Invalidate, Source::Repository, &["feed none"])
        .await;
    scene
        .expect("x", Bypass, Source::Repository, &["feed none"])
        .await;
    assert_eq!(scene.expander.backend().inner().len(), 0);
}

#[tokio::test]
async fn invalidate_and_bypass_never_answer_from_the_cache() {
    let scene = Scene::new();
    scene
        .expect(
            "a",
            Refresh,
            Source::Repository,
            &["miss row:a", "loaded v1", "feed v1"],
        )
        .await;
    scene.database.set("a", 2);
    scene
        .expect(
            "a",
            Invalidate,
            Source::Repository,
            &["loaded v2", "feed v2"],
        )
        .await;
    scene
        .expect("a", Fresh, Source::Cache, &["hit row:a", "feed v2"])
        .await;
    scene.database.set("a", 3);
    scene
        .expect("a", Bypass, Source::Repository, &["loaded v3", "feed v3"])
        .await;
    scene
        .expect("a", Fresh, Source::Cache, &["hit row:a", "feed v3"])
        .await;
}

#[tokio::test]
async fn a_failed_load_feeds_nothing_and_leaves_what_the_table_says() {
    let scene = Scene::new();
    scene.call("a", Refresh).await.0.unwrap();
    scene
        .database
        .fail(Some(Error::RepositoryError("down".into())));
    let error = scene.expect_error("b", Refresh, &["miss row:b"]).await;
    assert_eq!(error.to_string(), "repository failed: load row:b: down");
    scene.expect_error("a", Bypass, &[]).await;
    scene
        .expect("a", Fresh, Source::Cache, &["hit row:a", "feed v1"])
        .await;
    scene.expect_error("a", Invalidate, &[]).await;
    scene
        .expect("a", Fresh, Source::Nothing, &["miss row:a", "feed none"])
        .await;
}

#[tokio::test]
async fn with_the_backend_down_the_repository_answers() {
    let scene = Scene::new();
    scene.call("a", Refresh).await.0.unwrap();
    scene.expander.backend().fail(Fault::Down);
    let error = scene.expect_error("a", Fresh, &[]).await;
    assert_eq!(
        error.to_string(),
        "cache backend failed: read row:a: told to fail"
    );
    scene
        .expect(
            "a",
            Refresh,
            Source::Repository,
            &["miss row:a", "loaded v1", "feed v1"],
        )
        .await;
    scene
        .expect("a", Bypass, Source::Repository, &["loaded v1", "feed v1"])
        .await;
}

#[tokio::test]
async fn a_hook_that_refuses_ends_the_call_and_nothing_is_fed() {
    let scene = Scene::new();
    let cases: [(&str, CacheStrategy, &[&str]); 4] = [
        ("validate", Refresh, &[]),
        ("miss", Refresh, &["miss row:a"]),
        ("loaded", Refresh, &["miss row:a", "loaded v1"]),
        ("hit", Refresh, &["hit row:a"]),
    ];
    for (hook, strategy, said) in cases {
        let (answered, diary) = scene.call_with(Diary::refusing("a", hook), strategy).await;
        let error = answered.unwrap_err();
        assert_eq!(error.kind(), cache_kit::ErrorKind::Validation);
        assert!(
            error.to_string().ends_with(&format!("{hook} says no")),
            "{error}"
        );
        assert_eq!(diary, said, "{hook}");
    }
    assert_eq!(
        scene.database.loads(),
        1,
        "validate and on_miss come before the load"
    );
}
