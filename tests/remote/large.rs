//! Large values on a wire that is slower than they are many: they wait for their turn, and neither for each
//! other inside their deadlines nor at the cost of others.

use std::time::Duration;

use cache_kit::CacheStrategy::Refresh;
use cache_kit::observability::StoreResult;
use cache_kit::{CacheEntity, CacheService, InMemoryRepository, Outcome, SharedFeeder};
use cache_kit_tests::calls::PATIENCE;
use cache_kit_tests::servers::{Far, Proxy, Server};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

/// All pages take longer than a command may, and what may be under way takes a fifth of that.
const DEADLINE: Duration = Duration::from_secs(2);
const BYTES_PER_SECOND: u32 = 10 << 20;
const PAGES: u64 = 200;
const BYTES: usize = 160 << 10;

#[derive(Clone, Serialize, Deserialize)]
struct Page {
    id: u64,
    text: String,
}

impl CacheEntity for Page {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "page"
    }
}

struct Scene<S> {
    server: S,
    wire: Far,
    /// Between the wire and the server.
    _proxy: Proxy,
    pages: InMemoryRepository<Page>,
}

impl<S: Server> Scene<S> {
    async fn new() -> Self {
        let server = S::start();
        let proxy = server.proxy();
        let pages = InMemoryRepository::new();
        for id in 0..PAGES {
            let text = "x".repeat(BYTES);
            pages.insert(id, Page { id, text });
        }
        Self {
            wire: Far::narrow(proxy.addr(), BYTES_PER_SECOND).await,
            server,
            _proxy: proxy,
            pages,
        }
    }

    fn url(&self) -> String {
        self.server.url_at(self.wire.addr().port())
    }

    /// A service as in a process of its own, which has seen no page.
    fn process(&self) -> CacheService<S::Backend> {
        let backend = S::backend(&self.url(), |encoded| {
            encoded.with_operation_deadline(DEADLINE)
        });
        CacheService::new(backend.unwrap())
    }

    async fn read_all(&self, service: &CacheService<S::Backend>) -> Vec<Outcome> {
        let mut feeders: Vec<_> = (0..PAGES).map(SharedFeeder::<Page>::new).collect();
        let read = service.execute_many(&mut feeders, &self.pages, Refresh);
        let outcomes: Vec<_> = read.await.unwrap().into_iter().collect();
        for feeder in feeders {
            let page = feeder.entity.unwrap();
            assert!(page.id == feeder.id && page.text.len() == BYTES);
        }
        outcomes
    }
}

fn hits(outcomes: &[Outcome]) -> u64 {
    outcomes.iter().filter(|outcome| outcome.is_hit()).count() as u64
}

pub async fn a_batch_is_stored_and_read<S: Server>() {
    let scene = Scene::<S>::new().await;
    let here = scene.process();
    let stored = scene.read_all(&here).await;
    let other = stored
        .iter()
        .find(|outcome| outcome.store() != StoreResult::Stored);
    assert_eq!(other, None);
    for service in [&here, &scene.process()] {
        assert_eq!(hits(&scene.read_all(service).await), PAGES);
        let health = S::health(service);
        assert!(
            health.available && health.last_error.is_none(),
            "{health:?}"
        );
    }
}

/// Those that do not get their turn within the deadline do without the cache. The store is as well as before.
pub async fn callers_of_many_do_not_open_the_breaker<S: Server>() {
    let scene = Scene::<S>::new().await;
    let (here, there) = (scene.process(), scene.process());
    let begun = tokio::time::Instant::now();
    for service in [&here, &here, &there] {
        let (mut callers, mut found) = (JoinSet::new(), 0);
        for id in 0..PAGES {
            let (service, pages) = (service.clone(), scene.pages.clone());
            callers.spawn(async move {
                let mut feeder = SharedFeeder::<Page>::new(id);
                let outcome = service.execute(&mut feeder, &pages, Refresh).await.unwrap();
                assert_eq!(feeder.entity.unwrap().text.len(), BYTES);
                u64::from(outcome.is_hit() || outcome.store() == StoreResult::Stored)
            });
        }
        while let Some(kept) = callers.join_next().await {
            found += kept.unwrap();
        }
        let health = S::health(service);
        assert!(
            health.available && found >= PAGES / 8,
            "{found}: {health:?}"
        );
        assert!(
            begun.elapsed() < PATIENCE,
            "each waits for its deadlines only"
        );
    }
}
