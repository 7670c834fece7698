//! A leader that goes away while its lease command is in flight, and a successor that requests the
//! same lease in the same tick of the clock.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_kit::backend::{CacheBackend, Invalidated};
use cache_kit::{CacheService, CacheStrategy, CacheStrategy::Invalidate, CacheStrategy::Refresh};
use cache_kit_tests::late::{BY_ITSELF, Scene, Seen, Tally, fresh_ids, judge, key_of, read, spawn};
use cache_kit_tests::servers::{Server, Trick, eventually_async};
use cache_kit_tests::{Gated, Ghost};
use tokio::task::JoinHandle;

/// How long a test waits for something that must happen.
const LIMIT: Duration = Duration::from_secs(20);

pub async fn a_successor_in_the_same_tick_of_the_clock<S: Server>() {
    let (server, mut tally) = (S::start(), Tally::default());
    for first in [Refresh, Invalidate] {
        for cut_first in [false, true] {
            for read_before in [false, true] {
                let played = succeed(&server, first, cut_first, read_before).await;
                let case = format!("{first}, cut {cut_first}, read {read_before}");
                tally.note(&case, played);
            }
        }
    }
    tally.report();
}

async fn succeed<S: Server>(
    server: &S,
    first: CacheStrategy,
    cut_first: bool,
    read_before: bool,
) -> Result<(), String> {
    let scene = Scene::new(server);
    let (ids, commands) = (fresh_ids(false), S::COMMANDS);
    let key = key_of(&ids[0]);
    let database = Gated::closed();
    let open = database.with_open_gate();
    database.set(&ids[0], 1);
    // So that the wire stands.
    let warm = read(&scene.shaky, &open, &fresh_ids(false), Refresh).await;
    warm.unwrap();
    scene.proxy.reset_counts();

    let kind = if first == Refresh {
        commands.claim
    } else {
        commands.set
    };
    let held = scene.trap(&key, &kind.1, Trick::HoldCommand);
    let polls = Polls::default();
    let (mut leader, joiner);
    if first == Refresh {
        // Both look up before one of them leads.
        scene.proxy.hold();
        leader = spawn(&scene.shaky, &database, &ids, first);
        joiner = polls.spawn(&scene.shaky, &database, &ids);
        eventually_async("both have asked", LIMIT, || {
            scene.proxy.seen(commands.get.0) >= 2
        })
        .await;
        scene.proxy.release();
    } else {
        let asked = scene.trap(&key, &commands.get.1, Trick::HoldAnswer);
        joiner = polls.spawn(&scene.shaky, &database, &ids);
        asked.sprung().await;
        leader = spawn(&scene.shaky, &database, &ids, first);
        held.sprung().await;
        asked.release();
    }
    held.sprung().await;
    // It is polled when its look-up is answered, and joins the flight then.
    let before = polls.so_far();
    eventually_async("the successor boards", LIMIT, || {
        polls.so_far() > before || polls.so_far() >= 2
    })
    .await;
    if cut_first {
        held.cut_client();
    }
    leader.abort();
    assert!((&mut leader).await.is_err());
    held.cut_client();
    database.entered(1).await;
    database.set(&ids[0], 2);
    let done = scene.sound.invalidate::<Ghost>(&ids[0]).await.unwrap();
    assert_eq!(done, Invalidated::Done);
    held.deliver().await;
    let mut reader = None;
    if read_before {
        let mut reads = spawn(&scene.shaky, &open, &ids, Refresh);
        match tokio::time::timeout(BY_ITSELF, &mut reads).await {
            Ok(seen) => judge("a reader", seen.unwrap())?,
            Err(_) => reader = Some(reads),
        }
    }
    database.let_through(10);
    joiner.await.unwrap().unwrap();
    if let Some(reader) = reader {
        judge("a reader that waited", reader.await.unwrap())?;
    }
    scene.nothing_old(&open, &ids).await
}

/// How often a future was polled.
#[derive(Default, Clone)]
struct Polls(Arc<AtomicUsize>);

impl Polls {
    /// Reads in a task of its own, whose polls are counted.
    fn spawn<B: CacheBackend>(
        &self,
        service: &CacheService<B>,
        database: &Gated,
        ids: &[String],
    ) -> JoinHandle<cache_kit::Result<Vec<Seen>>> {
        let (service, database, ids) = (service.clone(), database.clone(), ids.to_vec());
        let reads = async move { read(&service, &database, &ids, Refresh).await };
        tokio::spawn(self.count(reads))
    }

    fn count<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let polls = self.clone();
        async move {
            let mut future = std::pin::pin!(future);
            std::future::poll_fn(|cx| {
                let polled = future.as_mut().poll(cx);
                polls.0.fetch_add(1, Ordering::AcqRel);
                polled
            })
            .await
        }
    }

    fn so_far(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}
