//! The guard of every remote store: the queue of invalidations, the breaker, the recovery.

use std::sync::Arc;
use std::time::Duration;

use cache_kit::CacheStrategy::{Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::{CacheBackend, Encoded, EncodedConfig, HEAD_PREFIXES, Invalidated};
use cache_kit::observability::StoreResult;
use cache_kit::testing::ManualClock;
use cache_kit::{
    CacheExpander, CacheService, CacheStrategy, Error, OperationConfig, Outcome, Result,
    SharedFeeder, Source,
};
use cache_kit_tests::servers::eventually_async;
use cache_kit_tests::{Gated, Row};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::shelf::{Fate, Op, Shelf};

type Service = CacheService<Encoded<Shelf>>;

/// The limit for background work. It takes half a second on an idle machine.
const LIMIT: Duration = Duration::from_secs(30);

/// A store, a service over it, and a database with row `k` in version 1.
struct Scene {
    shelf: Shelf,
    service: Service,
    database: Gated,
}

impl Scene {
    fn new() -> Self {
        Self::with(|config| config, Gated::open())
    }

    fn with(set: impl FnOnce(EncodedConfig) -> EncodedConfig, database: Gated) -> Self {
        let shelf = Shelf::default();
        let backend = Encoded::with_config(shelf.clone(), set(EncodedConfig::new()));
        database.set("k", 1);
        Self {
            shelf,
            service: CacheExpander::new(backend).into(),
            database,
        }
    }

    async fn read(&self, id: &str, strategy: CacheStrategy) -> Result<(Outcome, Option<u64>)> {
        read(&self.service, &self.database, id, strategy).await
    }

    fn spawn(&self, strategy: CacheStrategy) -> JoinHandle<Result<(Outcome, Option<u64>)>> {
        let (service, database) = (self.service.clone(), self.database.clone());
        tokio::spawn(async move { read(&service, &database, "k", strategy).await })
    }

    async fn invalidate(&self, id: &str) -> Result<Invalidated> {
        self.service.invalidate::<Row>(&id.to_owned()).await
    }

    fn pending(&self) -> usize {
        self.service.backend().health().pending_invalidations
    }

    /// There is no call meanwhile.
    async fn is_well_again(&self) {
        eventually_async("the store is well again", LIMIT, || {
            let health = self.service.backend().health();
            health.available && health.pending_invalidations == 0
        })
        .await;
    }

    async fn has_come(&self, op: Op, count: usize) {
        eventually_async("the command comes", LIMIT, || self.shelf.count(op) >= count).await;
    }
}

async fn read<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Gated,
    id: &str,
    strategy: CacheStrategy,
) -> Result<(Outcome, Option<u64>)> {
    let mut feeder = SharedFeeder::<Row>::new(id.to_owned());
    let outcome = service.execute(&mut feeder, database, strategy).await?;
    Ok((outcome, feeder.entity.map(|row| row.version)))
}

fn is_entry(value: &[u8]) -> bool {
    value.starts_with(&HEAD_PREFIXES[0])
}

/// The ways to invalidate a key.
#[derive(Debug, Clone, Copy)]
enum Way {
    One,
    Many,
    Loading,
}

const WAYS: [(Way, Op); 3] = [
    (Way::One, Op::Delete),
    (Way::Many, Op::Delete),
    (Way::Loading, Op::Set),
];

/// An invalidation in a task that may be dropped.
fn invalidation(scene: &Scene, way: Way) -> JoinHandle<()> {
    let (service, database) = (scene.service.clone(), scene.database.clone());
    tokio::spawn(async move {
        let ids = ["k", "l", "m"].map(str::to_owned);
        let _ = match way {
            Way::One => service.invalidate::<Row>(&ids[0]).await.map(|_| ()),
            Way::Many => service.invalidate_many::<Row>(&ids).await.map(|_| ()),
            Way::Loading => read(&service, &database, "k", Invalidate).await.map(|_| ()),
        };
    })
}

#[tokio::test]
async fn an_invalidation_that_is_dropped_in_the_wire_is_sent_again() {
    for (way, op) in WAYS {
        let scene = Scene::new();
        scene.read("k", Refresh).await.unwrap();
        scene.database.set("k", 2);
        scene.shelf.make(op, [Fate::Hangs, Fate::Works]);
        let dropped = invalidation(&scene, way);
        scene.has_come(op, 1).await;
        dropped.abort();
        assert!(dropped.await.is_err(), "{way:?}");
        let expected = if matches!(way, Way::Many) { 3 } else { 1 };
        // The task that cleans up after the call may have sent it already.
        let waits = scene.pending() == expected;
        assert!(waits || scene.shelf.count(Op::Delete) > 0, "{way:?}");
        // This process sees it at once, and the others when it is sent.
        let (_, seen) = scene.read("k", Refresh).await.unwrap();
        assert_eq!(seen, Some(2), "{way:?}");
        scene.is_well_again().await;
        let sent = scene.shelf.keys(Op::Delete).concat();
        assert!(sent.contains(&"row:k".to_owned()), "{way:?}");
    }
}

#[tokio::test]
async fn an_invalidation_that_is_dropped_reaches_the_store_without_another_call() {
    for (way, op) in WAYS {
        let scene = Scene::new();
        scene.read("k", Refresh).await.unwrap();
        assert!(is_entry(&scene.shelf.value("row:k").unwrap()));
        scene.shelf.make(op, [Fate::Hangs, Fate::Works]);
        let dropped = invalidation(&scene, way);
        scene.has_come(op, 1).await;
        dropped.abort();
        eventually_async("the entry is gone", LIMIT, || {
            scene.shelf.value("row:k").is_none()
        })
        .await;
    }
}

#[tokio::test]
async fn the_way_back_is_found_every_time_and_without_a_call() {
    let scene = Scene::new();
    for round in 1..4 {
        scene.read("k", Refresh).await.unwrap();
        scene.database.set("k", round);
        scene.shelf.make_all(Fate::Fails);
        let done = scene.invalidate("k").await.unwrap();
        assert_eq!(done, Invalidated::Pending, "round {round}");
        for _ in 0..10 {
            scene.read("k", Refresh).await.unwrap();
        }
        assert!(!scene.service.backend().health().available);
        scene.shelf.make_all(Fate::Works);
        scene.is_well_again().await;
        assert_eq!(scene.shelf.value("row:k"), None, "round {round}");
        let (_, seen) = scene.read("k", Refresh).await.unwrap();
        assert_eq!(seen, Some(round));
    }
}

#[tokio::test]
async fn a_read_that_fails_is_enough_to_look_for_the_way_back() {
    let scene = Scene::new();
    scene.shelf.make_all(Fate::Fails);
    for _ in 0..20 {
        assert!(scene.read("k", Fresh).await.is_err());
    }
    assert!(!scene.service.backend().health().available);
    scene.shelf.make_all(Fate::Works);
    scene.is_well_again().await;
    scene.read("k", Refresh).await.unwrap();
    assert!(scene.read("k", Fresh).await.unwrap().0.is_hit());
}

#[tokio::test]
async fn what_waits_to_be_invalidated_is_not_served_here() {
    let scene = Scene::new();
    scene.read("k", Refresh).await.unwrap();
    scene.database.set("k", 2);
    scene.shelf.make(Op::Delete, [Fate::Fails]);
    let done = scene.invalidate("k").await.unwrap();
    assert_eq!(done, Invalidated::Pending);
    assert!(is_entry(&scene.shelf.value("row:k").unwrap()), "it stands");
    for strategy in [Refresh, Bypass, Refresh] {
        let (_, seen) = scene.read("k", strategy).await.unwrap();
        assert_eq!(seen, Some(2), "{strategy}");
    }
    if let Ok((outcome, seen)) = scene.read("k", Fresh).await {
        assert!(outcome.source() == Source::Nothing || seen == Some(2));
    }
}

#[tokio::test]
async fn nor_is_it_in_a_batch_whose_other_keys_are() {
    let scene = Scene::new();
    scene.database.set("l", 1);
    for id in ["k", "l"] {
        scene.read(id, Refresh).await.unwrap();
    }
    scene.database.set("k", 2);
    scene.shelf.make(Op::Delete, [Fate::Refused]);
    let done = scene.invalidate("k").await.unwrap();
    assert_eq!(done, Invalidated::Pending);
    let mut feeders = ["k", "l"].map(|id| SharedFeeder::<Row>::new(id.to_owned()));
    for _ in 0..2 {
        let outcomes = scene
            .service
            .execute_many(&mut feeders, &scene.database, Refresh);
        let outcomes = outcomes.await.unwrap();
        let seen = feeders
            .each_ref()
            .map(|feeder| feeder.entity.as_ref().map(|row| row.version));
        assert_eq!(seen, [Some(2), Some(1)]);
        assert_eq!(outcomes[0].source(), Source::Repository);
    }
    let scene = Scene::new();
    scene.database.set("l", 1);
    for id in ["k", "l"] {
        scene.read(id, Refresh).await.unwrap();
    }
    scene.database.set("k", 2);
    scene.shelf.make(Op::Delete, [Fate::Fails]);
    scene.invalidate("k").await.unwrap();
    let outcomes = scene
        .service
        .execute_many(&mut feeders, &scene.database, Refresh);
    outcomes.await.unwrap();
    let seen = feeders
        .each_ref()
        .map(|feeder| feeder.entity.as_ref().map(|row| row.version));
    assert_eq!(seen, [Some(2), Some(1)]);
}

#[tokio::test]
async fn of_many_keys_all_are_removed() {
    let scene = Scene::new();
    let ids: Vec<String> = (0..1_000).map(|id| id.to_string()).collect();
    for id in &ids {
        scene.shelf.put(&format!("row:{id}"), b"something".to_vec());
    }
    let done = scene.service.invalidate_many::<Row>(&ids).await.unwrap();
    assert_eq!(done, Invalidated::Done);
    for id in &ids {
        assert_eq!(scene.shelf.value(&format!("row:{id}")), None, "{id}");
    }
}

#[tokio::test]
async fn what_is_invalidated_while_it_is_being_sent_is_sent_again() {
    let scene = Scene::new();
    scene.read("k", Refresh).await.unwrap();
    let entry = scene.shelf.value("row:k").unwrap();
    let gate = Arc::new(Semaphore::new(0));
    // It fails; it is sent by the recovery, without an answer yet; it fails again; then everything
    // succeeds.
    let fates = [
        Fate::Fails,
        Fate::Answered(Arc::clone(&gate)),
        Fate::Fails,
        Fate::Works,
    ];
    scene.shelf.make(Op::Delete, fates);
    let done = scene.invalidate("k").await.unwrap();
    assert_eq!(done, Invalidated::Pending);
    scene.has_come(Op::Delete, 2).await;
    // Another process has filled it since, with the version that is being invalidated now.
    scene.shelf.put("row:k", entry);
    let done = scene.invalidate("k").await.unwrap();
    gate.add_permits(1);
    if done == Invalidated::Pending {
        scene.is_well_again().await;
    }
    assert_eq!(scene.shelf.value("row:k"), None);
}

#[tokio::test]
async fn no_lease_from_before_a_failed_invalidation_is_worth_anything() {
    for strategy in [Refresh, Bypass, Invalidate] {
        let scene = Scene::with(|config| config, Gated::closed());
        let slow = scene.spawn(strategy);
        scene.database.entered(1).await;
        let placeholder = scene.shelf.value("row:k").unwrap();
        scene.database.set("k", 2);
        scene.shelf.make(Op::Delete, [Fate::Fails, Fate::Works]);
        let done = scene.invalidate("k").await.unwrap();
        assert_eq!(done, Invalidated::Pending);
        scene.is_well_again().await;
        // Whatever the store has by now.
        scene.shelf.put("row:k", placeholder);
        scene.database.let_through(1);
        let (outcome, _) = slow.await.unwrap().unwrap();
        assert_ne!(outcome.store(), StoreResult::Stored, "{strategy}");
        assert!(!is_entry(&scene.shelf.value("row:k").unwrap()));
    }
}

#[tokio::test]
async fn a_store_that_says_no_lives() {
    let scene = Scene::new();
    scene.shelf.make_all(Fate::Refused);
    for _ in 0..50 {
        scene.read("k", Refresh).await.unwrap();
    }
    let health = scene.service.backend().health();
    assert!(health.available, "{health:?}");
    assert!(scene.shelf.count(Op::Get) >= 50, "each was sent");
}

#[tokio::test]
async fn a_store_that_fails_is_left_alone() {
    let scene = Scene::new();
    scene.shelf.make_all(Fate::Fails);
    for _ in 0..50 {
        scene.read("k", Refresh).await.unwrap();
    }
    assert!(!scene.service.backend().health().available);
    assert!(scene.shelf.count(Op::Get) < 20);
}

#[tokio::test]
async fn a_command_whose_connection_is_lost_is_sent_once_more() {
    for (op, strategy) in [
        (Op::Get, Refresh),
        (Op::Claim, Refresh),
        (Op::Claim, Bypass),
        (Op::Set, Invalidate),
    ] {
        let scene = Scene::new();
        scene.shelf.make(op, [Fate::Lost, Fate::Works]);
        let (outcome, _) = scene.read("k", strategy).await.unwrap();
        assert!(!outcome.degraded().any(), "{op:?}, {strategy}: {outcome:?}");
        assert_eq!(outcome.store(), StoreResult::Stored, "{op:?}, {strategy}");
        assert_eq!(scene.shelf.count(op), 2, "{op:?}, {strategy}");
    }
    let scene = Scene::new();
    scene.shelf.make(Op::Delete, [Fate::Lost, Fate::Works]);
    let done = scene.invalidate("k").await.unwrap();
    assert_eq!(done, Invalidated::Done);
    scene.shelf.make(Op::Delete, [Fate::Lost, Fate::Works]);
    let ids = ["k", "l"].map(str::to_owned);
    let done = scene.service.invalidate_many::<Row>(&ids).await.unwrap();
    assert_eq!(done, Invalidated::Done);
}

#[tokio::test]
async fn a_store_that_gives_too_few_answers_gives_none() {
    let scene = Scene::new();
    for id in ["a", "b", "c"] {
        scene.database.set(id, 1);
        scene.read(id, Refresh).await.unwrap();
    }
    let keys = ["row:a", "row:b", "row:c"];
    let now = cache_kit::clock::Clock::system().now();
    scene.shelf.make(Op::Get, [Fate::Short, Fate::Works]);
    let found = scene.service.backend().get_many::<Row>(&keys, now).await;
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(Result::is_err));

    scene.shelf.make(Op::Delete, [Fate::Short, Fate::Works]);
    let done = scene.service.backend().invalidate_many::<Row>(&keys).await;
    assert_eq!(done.len(), 3);
    for done in done {
        assert_eq!(done.unwrap(), Invalidated::Pending);
    }
    scene.is_well_again().await;
}

#[tokio::test]
async fn what_is_stored_has_a_lifetime_and_so_has_what_is_only_promised() {
    let scene = Scene::new();
    let ttl = Duration::from_secs(60);
    let mut feeder = SharedFeeder::<Row>::new("k".into());
    let config = OperationConfig::default().with_ttl(ttl);
    let stored = scene
        .service
        .execute_with_config(&mut feeder, &scene.database, Bypass, config);
    assert_eq!(stored.await.unwrap().store(), StoreResult::Stored);
    let lifetimes = scene.shelf.lifetimes();
    assert_eq!(lifetimes.len(), 2, "a placeholder and an entry");
    for lifetime in lifetimes {
        let lifetime = lifetime.unwrap();
        assert!(lifetime > Duration::ZERO && lifetime <= ttl, "{lifetime:?}");
    }
    // One hour by default.
    scene.read("l", Refresh).await.unwrap();
    scene.database.set("m", 1);
    scene.read("m", Refresh).await.unwrap();
    let last = scene.shelf.lifetimes().pop().flatten().unwrap();
    assert!(last <= Duration::from_secs(3_600), "{last:?}");
}

#[tokio::test]
async fn a_load_that_fails_gives_up_its_own_lease_and_nothing_else() {
    let failure = Error::RepositoryError("on purpose".into());
    for strategy in [Refresh, Bypass, Invalidate] {
        let scene = Scene::new();
        scene.database.fail(Some(failure.clone()));
        assert!(scene.read("k", strategy).await.is_err());
        assert_eq!(scene.shelf.value("row:k"), None, "{strategy}");
    }
    let scene = Scene::new();
    scene.read("k", Refresh).await.unwrap();
    let entry = scene.shelf.value("row:k");
    scene.database.fail(Some(failure));
    assert!(scene.read("k", Bypass).await.is_err());
    assert_eq!(scene.shelf.value("row:k"), entry, "the old one stays");
}

#[tokio::test]
async fn an_invalidation_that_finds_no_room_is_an_error() {
    let scene = Scene::with(|config| config.with_pending_invalidations(1), Gated::open());
    scene.shelf.make_all(Fate::Fails);
    assert_eq!(scene.invalidate("a").await.unwrap(), Invalidated::Pending);
    assert!(scene.invalidate("b").await.is_err());
    assert!(scene.read("b", Invalidate).await.is_err());
    // It knows that one already.
    assert_eq!(scene.invalidate("a").await.unwrap(), Invalidated::Pending);
    assert_eq!(scene.pending(), 1);
}

/// The old entry looks like the current one: no time has passed.
#[tokio::test]
async fn two_entries_of_one_tick_are_two() {
    let time = ManualClock::new();
    let shelf = Shelf::default();
    let service: Service = CacheExpander::new(Encoded::over(shelf))
        .with_clock(time.clock())
        .into();
    let slow_rows = Gated::closed();
    let rows = slow_rows.with_open_gate();
    rows.set("k", 1);
    read(&service, &rows, "k", Refresh).await.unwrap();
    let slow = {
        let (service, rows) = (service.clone(), slow_rows.clone());
        tokio::spawn(async move { read(&service, &rows, "k", Bypass).await })
    };
    slow_rows.entered(1).await;
    rows.set("k", 2);
    let done = service.invalidate::<Row>(&"k".to_owned()).await.unwrap();
    assert_eq!(done, Invalidated::Done);
    let (_, seen) = read(&service, &rows, "k", Refresh).await.unwrap();
    assert_eq!(seen, Some(2));
    slow_rows.let_through(1);
    let (outcome, _) = slow.await.unwrap().unwrap();
    assert_eq!(outcome.store(), StoreResult::Fenced);
    let (_, seen) = read(&service, &rows, "k", Fresh).await.unwrap();
    assert_eq!(seen, Some(2));
}

#[tokio::test]
async fn callers_that_go_while_their_look_up_travels_leave_each_other_its_own() {
    const CALLERS: u64 = 60;
    let scene = Scene::new();
    for id in 0..CALLERS {
        scene.database.set(&id.to_string(), id);
        scene.read(&id.to_string(), Refresh).await.unwrap();
    }
    let before = scene.shelf.count(Op::Get);
    let gate = Arc::new(Semaphore::new(0));
    scene
        .shelf
        .make(Op::Get, [Fate::Answered(Arc::clone(&gate))]);
    let mut callers = Vec::new();
    for id in 0..CALLERS {
        let (service, database) = (scene.service.clone(), scene.database.clone());
        callers.push(tokio::spawn(async move {
            read(&service, &database, &id.to_string(), Fresh).await
        }));
    }
    // The look-ups that were sent alone, and one command for all others.
    scene.has_come(Op::Get, before + 2).await;
    eventually_async("all have asked", LIMIT, || {
        scene.shelf.keys(Op::Get)[before..].concat().len() == usize::try_from(CALLERS).unwrap()
    })
    .await;
    for gone in [25, 30, 47] {
        callers[gone].abort();
    }
    tokio::task::yield_now().await;
    gate.add_permits(1_000);
    for (id, caller) in (0..CALLERS).zip(callers) {
        if let Ok(answer) = caller.await {
            assert_eq!(answer.unwrap().1, Some(id));
        }
    }
}
