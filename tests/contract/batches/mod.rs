//! Many keys in one call: each treated as in a call of its own, at the cost of one.

mod answers;
mod fences;
mod flights;
mod settings;
mod trouble;

use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use cache_kit::backend::{CacheBackend, InMemoryBackend};
use cache_kit::observability::{CacheEvent, CacheMetrics, StoreResult};
use cache_kit::{
    CacheFeedMany, CacheService, CacheStrategy, Error, Outcome, Result, SharedFeeder, Source,
};
use cache_kit_tests::{Gated, Row, Step};

use super::counted::Counted;

/// Asks for some rows, and records all hooks.
#[derive(Default)]
struct Rows {
    ids: Vec<String>,
    fed: Vec<Vec<Option<u64>>>,
    said: Vec<String>,
    refuse: &'static str,
}

impl Rows {
    fn of(ids: &[&str]) -> Self {
        Self {
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            ..Self::default()
        }
    }

    fn note(&mut self, hook: &str, position: usize, what: &str) -> Result<()> {
        self.said.push(format!("{hook} {position} {what}"));
        if hook == self.refuse {
            return Err(Error::ValidationError(format!("{hook} says no")));
        }
        Ok(())
    }
}

impl CacheFeedMany<Row> for Rows {
    fn entity_ids(&mut self) -> Vec<String> {
        self.ids.clone()
    }

    fn feed_many(&mut self, entities: Vec<Option<Arc<Row>>>) {
        for (id, row) in self.ids.iter().zip(&entities) {
            assert!(row.as_ref().is_none_or(|row| row.id == *id), "a mix-up");
        }
        let version = |row: Option<Arc<Row>>| row.map(|row| row.version);
        self.fed.push(entities.into_iter().map(version).collect());
    }

    fn validate(&self) -> Result<()> {
        match self.refuse {
            "validate" => Err(Error::ValidationError("validate says no".into())),
            _ => Ok(()),
        }
    }

    fn on_hit(&mut self, position: usize, key: &str) -> Result<()> {
        self.note("hit", position, key)
    }

    fn on_miss(&mut self, position: usize, key: &str) -> Result<()> {
        self.note("miss", position, key)
    }

    fn on_loaded(&mut self, position: usize, entity: &Row) -> Result<()> {
        self.note("loaded", position, &entity.id)
    }
}

/// The answer to a batch: the outcomes, and the versions that were fed.
type Answer = Result<(Vec<Outcome>, Vec<Option<u64>>)>;

async fn batch<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Gated,
    ids: &[&str],
    strategy: CacheStrategy,
) -> Answer {
    let mut rows = Rows::of(ids);
    let outcomes = service.execute_many(&mut rows, database, strategy).await;
    let fed = match &outcomes {
        Ok(outcomes) => {
            assert_eq!((rows.fed.len(), outcomes.len()), (1, ids.len()));
            rows.fed.remove(0)
        }
        Err(_) => {
            assert!(rows.fed.is_empty(), "an error was fed");
            Vec::new()
        }
    };
    Ok((outcomes?, fed))
}

async fn single<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Gated,
    id: &str,
    strategy: CacheStrategy,
) -> Result<(Outcome, Option<u64>)> {
    let mut feeder = SharedFeeder::<Row>::new(id.to_owned());
    let outcome = service.execute(&mut feeder, database, strategy).await?;
    Ok((outcome, feeder.entity.map(|row| row.version)))
}

fn ready<T>(step: &mut Step<'_, T>) -> T {
    match step.poll() {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("still waiting"),
    }
}

/// Polls all calls until none makes progress.
fn settle<O>(steps: &mut [Step<'_, O>]) -> Vec<Option<O>> {
    let mut ended: Vec<Option<O>> = steps.iter().map(|_| None).collect();
    for _ in 0..20 {
        for (step, ended) in steps.iter_mut().zip(&mut ended) {
            if let (true, Poll::Ready(answer)) = (step.is_running(), step.poll()) {
                *ended = Some(answer);
            }
        }
    }
    ended
}

fn sources(outcomes: &[Outcome]) -> Vec<Source> {
    outcomes.iter().map(Outcome::source).collect()
}

fn stores(outcomes: &[Outcome]) -> Vec<StoreResult> {
    outcomes.iter().map(Outcome::store).collect()
}

fn idle<B: CacheBackend>(service: &CacheService<B>) {
    let left = service.expander().loads_in_flight();
    assert_eq!(left, 0, "something was left in the air");
}

type Counting = CacheService<Counted<InMemoryBackend>>;

/// A service, and a database with rows `a` to `d` in version 1.
fn scene(database: Gated) -> (Counting, Gated) {
    for id in ["a", "b", "c", "d"] {
        database.set(id, 1);
    }
    (
        CacheService::new(Counted::new(InMemoryBackend::new())),
        database,
    )
}

/// Records all events.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl CacheMetrics for Log {
    fn record_hit(&self, key: &str, _duration: Duration) {
        self.note(format!("hit {key}"));
    }

    fn record_miss(&self, key: &str, _duration: Duration) {
        self.note(format!("miss {key}"));
    }

    fn record_set(&self, key: &str, _duration: Duration) {
        self.note(format!("set {key}"));
    }

    fn record_delete(&self, key: &str, _duration: Duration) {
        self.note(format!("delete {key}"));
    }

    fn record_error(&self, key: &str, _error: &str) {
        self.note(format!("error {key}"));
    }

    fn record_event(&self, key: &str, event: &CacheEvent) {
        match event {
            CacheEvent::Loaded { .. } => self.note(format!("load {key}")),
            event => self.note(format!("{key} {event:?}")),
        }
    }
}
