//! Large values: so many are under way at a time that none waits for the bytes of many others inside its
//! deadline. The wire holds the answers, so that what is under way can be counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cache_kit::CacheStrategy::{Bypass, Refresh};
use cache_kit::observability::StoreResult;
use cache_kit::{
    CacheEntity, CacheService, CacheStrategy, DataRepository, Outcome, Result, SharedFeeder,
};
use cache_kit_tests::calls::PATIENCE;
use cache_kit_tests::servers::{Proxy, Server, eventually_async};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

const PAGES: u64 = 100;
const BYTES: usize = 160 << 10;

/// How many have room: 4 MiB. Some commands have no key, and the mean length may be a little too low.
const ROOM: usize = (4 << 20) / BYTES * 3 / 2;

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

/// A server behind a wire that counts the keys of what is sent.
struct Scene<S> {
    server: S,
    wire: Proxy,
    keys: Arc<AtomicUsize>,
    held: AtomicBool,
}

impl<S: Server> Scene<S> {
    fn new() -> Arc<Self> {
        let server = S::start();
        let wire = server.proxy();
        let keys = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&keys);
        wire.translate(move |command| {
            // All but the mark behind a look-up of Memcached have a key.
            let of_many = command.is("MGET") || command.is("GET");
            let keys = match command.args().len() {
                keys if of_many => keys,
                _ => usize::from(!command.is("MN")),
            };
            count.fetch_add(keys, Ordering::AcqRel);
            None
        });
        let held = AtomicBool::new(false);
        Arc::new(Self {
            server,
            wire,
            keys,
            held,
        })
    }

    /// A service as in a process of its own, which has seen no page.
    async fn process(&self) -> CacheService<S::Backend> {
        let backend = S::patient_backend(&self.server.url_through(&self.wire), |encoded| encoded);
        let service = CacheService::new(backend.unwrap());
        // Connects, while answers are not held.
        service.ping().await.unwrap();
        service
    }

    /// From now on, answers are held, and what is sent is counted.
    fn hold(&self) {
        self.keys.store(0, Ordering::Release);
        self.wire.hold();
        self.held.store(true, Ordering::Release);
    }

    fn release(&self) {
        self.held.store(false, Ordering::Release);
        self.wire.release();
    }

    /// How many keys were sent while answers are held, `some` at least.
    async fn under_way(&self, some: usize) -> usize {
        let keys = || self.keys.load(Ordering::Acquire);
        let sent = || self.held.load(Ordering::Acquire) && keys() >= some;
        eventually_async("commands are sent", PATIENCE, sent).await;
        // What would be sent beside them is sent by now.
        for _ in 0..50 {
            tokio::task::yield_now().await;
            assert_eq!(self.server.value("page:none"), None);
        }
        keys()
    }

    /// Reads all pages in one call, in a task.
    fn read_all(
        self: &Arc<Self>,
        service: &CacheService<S::Backend>,
        strategy: CacheStrategy,
    ) -> JoinSet<Vec<Outcome>> {
        let (pages, service) = (Pages(Arc::clone(self)), service.clone());
        let mut reading = JoinSet::new();
        reading.spawn(async move {
            let mut feeders: Vec<_> = (0..PAGES).map(SharedFeeder::<Page>::new).collect();
            let read = service.execute_many(&mut feeders, &pages, strategy);
            let outcomes = read.await.unwrap().into_iter().collect();
            for feeder in feeders {
                let page = feeder.entity.unwrap();
                assert!(page.id == feeder.id && page.text.len() == BYTES);
            }
            outcomes
        });
        reading
    }
}

/// Answers are held from the moment of a load, so that stores are counted, and no leases.
struct Pages<S>(Arc<Scene<S>>);

impl<S: Server> DataRepository<Page> for Pages<S> {
    async fn fetch_by_id(&self, id: &u64) -> Result<Option<Page>> {
        Ok(Some(page(*id)))
    }

    async fn fetch_by_ids(&self, ids: &[u64]) -> Result<Vec<Option<Page>>> {
        self.0.hold();
        Ok(ids.iter().map(|id| Some(page(*id))).collect())
    }
}

fn page(id: u64) -> Page {
    let text = "x".repeat(BYTES);
    Page { id, text }
}

async fn all_stored(mut reading: JoinSet<Vec<Outcome>>) {
    let outcomes = reading.join_next().await.unwrap().unwrap();
    let other = outcomes
        .iter()
        .find(|outcome| outcome.store() != StoreResult::Stored || outcome.degraded().any());
    assert_eq!(other, None);
}

async fn all_hits(mut reading: JoinSet<Vec<Outcome>>) {
    let outcomes = reading.join_next().await.unwrap().unwrap();
    let other = outcomes
        .iter()
        .find(|outcome| !outcome.is_hit() || outcome.degraded().any());
    assert_eq!(other, None);
}

pub async fn so_many_are_under_way_at_a_time<S: Server>() {
    let scene = Scene::<S>::new();
    let here = scene.process().await;

    // Their size becomes known as the first of them are stored.
    for (strategy, least) in [(Refresh, 10), (Bypass, 12)] {
        let reading = scene.read_all(&here, strategy);
        let stores = scene.under_way(least).await;
        assert!(stores <= ROOM, "{stores} stores, {strategy:?}");
        scene.release();
        all_stored(reading).await;
    }

    // A batch of one that knows their size, and one that does not.
    for (service, least) in [(here.clone(), 12), (scene.process().await, 1)] {
        scene.hold();
        let reading = scene.read_all(&service, Refresh);
        let keys = scene.under_way(least).await;
        assert!(keys <= ROOM, "{keys} look-ups of a batch");
        scene.release();
        all_hits(reading).await;
    }

    // And many callers.
    scene.hold();
    let mut callers = JoinSet::new();
    for id in 0..PAGES {
        let (pages, service) = (Pages(Arc::clone(&scene)), here.clone());
        callers.spawn(async move {
            let mut feeder = SharedFeeder::<Page>::new(id);
            service.execute(&mut feeder, &pages, Refresh).await.unwrap()
        });
    }
    let keys = scene.under_way(12).await;
    assert!(keys <= ROOM, "{keys} look-ups of callers");
    scene.release();
    let outcomes = callers.join_all().await;
    assert!(outcomes.iter().all(Outcome::is_hit));
    assert!(S::health(&here).last_error.is_none());
}
