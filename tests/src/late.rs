//! A wire that delivers late: one copy of a command reaches the server after everything that its
//! client has done since.
//!
//! A slow call has read version 1, or that there is no row, and waits with it. The row is updated
//! and the key invalidated, which is acknowledged. The copy arrives, and the slow call ends. A read
//! that begins after the acknowledgement gets version 2, whatever the source of its answer.

#![allow(
    clippy::unwrap_used,
    reason = "test support: what must not fail ends the test"
)]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_kit::CacheStrategy::{self, Bypass, Fresh, Invalidate, Refresh};
use cache_kit::backend::{CacheBackend, Invalidated};
use cache_kit::{CacheEntity, CacheService, Error, Outcome, SharedFeeder, Source};
use tokio::task::JoinHandle;

use crate::servers::{Command, MemcachedServer, Proxy, RedisServer, Trap, Trick, eventually_async};
use crate::{Gated, Ghost, Ghosts};

/// How many keys a batch has.
const BATCH: usize = 3;

/// How long a reader may take to end by itself before the slow call ends. A reader that has not
/// ended waits for the slow call, or the machine is busy. Both are allowed; its answer is checked.
const BY_ITSELF: Duration = Duration::from_millis(100);

/// How long a test waits for something that must happen.
const LIMIT: Duration = Duration::from_secs(20);

/// What a test does to a server without any service.
pub trait ByHand {
    /// Removes a key.
    fn delete(&self, key: &str);
    /// Puts something foreign under a key.
    fn put(&self, key: &str, value: &str);
}

impl ByHand for RedisServer {
    fn delete(&self, key: &str) {
        assert!(self.command(&["DEL", key]).integer().is_some());
    }

    fn put(&self, key: &str, value: &str) {
        assert!(self.command(&["SET", key, value]).is_ok());
    }
}

impl ByHand for MemcachedServer {
    fn delete(&self, key: &str) {
        self.ask(format!("md {key}\r\nmn\r\n").as_bytes(), "MN");
    }

    fn put(&self, key: &str, value: &str) {
        let length = value.len();
        self.ask(format!("ms {key} {length}\r\n{value}\r\n").as_bytes(), "HD");
    }
}

/// A command to delay: its name, and how it is recognized.
pub type Kind = (&'static str, fn(&Command) -> bool);

/// What is under the keys before the slow call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// An entry in version 1, or the absence.
    Entry,
    /// Something that is not an entry.
    Foreign,
}

/// How the slow call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It stores what it has read.
    Stores,
    /// Its load fails.
    Fails,
    /// It is dropped while it loads.
    Dropped,
}

/// How the key is invalidated once the row is in version 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalidation {
    /// By another process.
    Elsewhere,
    /// By another process, in a batch.
    Many,
    /// By another process that loads, too.
    Strategy,
    /// By the process with the unreliable wire.
    Here,
    /// By a plain removal of the key.
    ByHand,
}

/// All of them.
pub const INVALIDATIONS: [Invalidation; 5] = [
    Invalidation::Elsewhere,
    Invalidation::Many,
    Invalidation::Strategy,
    Invalidation::Here,
    Invalidation::ByHand,
];

/// When the late command arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the update.
    Early,
    /// After the acknowledgement, while the slow call still loads.
    Acknowledged,
    /// The same, without a read before the slow call has ended.
    Unread,
    /// After the end of the slow call, without a read since.
    SlowEnded,
    /// When others have read version 2 and stored it.
    Stored,
}

/// All of them.
pub const MOMENTS: [Moment; 5] = [
    Moment::Early,
    Moment::Acknowledged,
    Moment::Unread,
    Moment::SlowEnded,
    Moment::Stored,
];

/// One possible course of events.
#[derive(Clone, Copy)]
pub struct Case<'c> {
    /// The late commands, in the order of sending.
    pub late: &'c [Kind],
    /// What the slow call does.
    pub strategy: CacheStrategy,
    /// Whether it is for several keys. The command of one of them is late.
    pub batch: bool,
    /// Whether there is a row at first.
    pub present: bool,
    /// What is under the keys.
    pub before: Before,
    /// How the slow call ends.
    pub ending: Ending,
    /// How it is invalidated.
    pub invalidation: Invalidation,
    /// When the late command arrives.
    pub moment: Moment,
}

impl<'c> Case<'c> {
    /// A single call that misses and stores, and another process that invalidates.
    pub fn of(late: &'c [Kind], strategy: CacheStrategy, moment: Moment) -> Self {
        Self {
            late,
            strategy,
            batch: false,
            present: true,
            before: Before::Nothing,
            ending: Ending::Stores,
            invalidation: Invalidation::Elsewhere,
            moment,
        }
    }
}

impl fmt::Debug for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let late: Vec<_> = self.late.iter().map(|(name, _)| name).collect();
        f.debug_struct("Case")
            .field("late", &late)
            .field("strategy", &self.strategy)
            .field("batch", &self.batch)
            .field("present", &self.present)
            .field("before", &self.before)
            .field("ending", &self.ending)
            .field("invalidation", &self.invalidation)
            .field("moment", &self.moment)
            .finish()
    }
}

/// Two processes on one server: one of them connects through a proxy.
#[derive(Debug)]
pub struct Scene<'s, B: CacheBackend, S> {
    /// The process with the proxy.
    pub shaky: CacheService<B>,
    /// The other one.
    pub sound: CacheService<B>,
    /// The wire of the first one.
    pub proxy: Proxy,
    /// The server.
    pub server: &'s S,
}

/// The source of an answer, and its version.
pub type Seen = (Source, Option<u64>);

/// Numbers the keys of this process, so that no two cases share one.
static CASES: AtomicUsize = AtomicUsize::new(0);

/// Keys that no other case uses.
pub fn fresh_ids(batch: bool) -> Vec<String> {
    let case = CASES.fetch_add(1, Ordering::Relaxed);
    let count = if batch { BATCH } else { 1 };
    (0..count).map(|n| format!("late-{case}-{n}")).collect()
}

/// The cache key of a row.
pub fn key_of(id: &str) -> String {
    format!("{}:{id}", Ghost::cache_prefix())
}

/// Reads rows.
///
/// # Errors
///
/// Those of the call.
pub async fn read<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Gated,
    ids: &[String],
    strategy: CacheStrategy,
) -> cache_kit::Result<Vec<Seen>> {
    let found = read_all(service, database, ids, strategy).await?;
    let seen = found.into_iter();
    Ok(seen
        .map(|(outcome, version)| (outcome.source(), version))
        .collect())
}

/// [`read`], with the whole outcome of the call.
///
/// # Errors
///
/// Those of the call.
pub async fn read_all<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Gated,
    ids: &[String],
    strategy: CacheStrategy,
) -> cache_kit::Result<Vec<(Outcome, Option<u64>)>> {
    let mut feeders: Vec<_> = ids
        .iter()
        .map(|id| SharedFeeder::<Ghost>::new(id.clone()))
        .collect();
    let rows = &Ghosts(database);
    let outcomes = match &mut feeders[..] {
        [feeder] => vec![service.execute(feeder, rows, strategy).await?],
        feeders => service.execute_many(feeders, rows, strategy).await?,
    };
    let versions = feeders
        .into_iter()
        .map(|feeder| feeder.entity.map(|row| row.version));
    Ok(outcomes.into_iter().zip(versions).collect())
}

/// [`read`] in a task of its own.
pub fn spawn<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Gated,
    ids: &[String],
    strategy: CacheStrategy,
) -> JoinHandle<cache_kit::Result<Vec<Seen>>> {
    let (service, database, ids) = (service.clone(), database.clone(), ids.to_vec());
    tokio::spawn(async move { read(&service, &database, &ids, strategy).await })
}

impl<B: CacheBackend, S: ByHand> Scene<'_, B, S> {
    /// Runs a case, and returns whether all late commands were sent.
    ///
    /// # Errors
    ///
    /// A reader got something older than an acknowledged version.
    ///
    /// # Panics
    ///
    /// When a call fails unexpectedly.
    pub async fn play(&self, case: Case<'_>) -> Result<bool, String> {
        let ids = fresh_ids(case.batch);
        let database = Gated::closed();
        let open = database.with_open_gate();
        if case.present {
            ids.iter().for_each(|id| database.set(id, 1));
        }
        for id in &ids {
            match case.before {
                Before::Nothing => {}
                Before::Entry => {
                    drop(read(&self.sound, &open, std::slice::from_ref(id), Refresh).await)
                }
                Before::Foreign => self.server.put(&key_of(id), "foreign"),
            }
        }

        // So that the wire stands.
        let warm = read(&self.shaky, &open, &fresh_ids(false), Refresh).await;
        warm.unwrap();
        let traps: Vec<Trap> = case
            .late
            .iter()
            .map(|(_, is_it)| self.trap(&key_of(&ids[ids.len() / 2]), is_it, Trick::LateCommand))
            .collect();
        let slow = spawn(&self.shaky, &database, &ids, case.strategy);
        database.entered(1).await;
        let mut slow = Some(slow);
        if !traps.iter().all(Trap::has_sprung) {
            // The slow call ends with this command.
            self.end(&database, case.ending, slow.take().unwrap()).await;
            if case.ending == Ending::Dropped {
                // A task does it.
                traps[0].sprung().await;
            }
        }
        let traps: Vec<Trap> = traps.into_iter().filter(Trap::has_sprung).collect();
        let all = traps.len() == case.late.len();
        if case.moment == Moment::Early {
            deliver(&traps).await;
        }
        ids.iter().for_each(|id| database.set(id, 2));
        self.invalidate(&open, &ids, case.invalidation).await;
        if matches!(case.moment, Moment::Acknowledged | Moment::Unread) {
            deliver(&traps).await;
        }

        // Calls that begin now must not join the slow one.
        let mut readers = Vec::new();
        if !matches!(case.moment, Moment::Unread | Moment::SlowEnded) {
            for service in [&self.shaky, &self.sound] {
                let mut reader = spawn(service, &open, &ids, Refresh);
                match tokio::time::timeout(BY_ITSELF, &mut reader).await {
                    Ok(seen) => judge("a reader", seen.unwrap())?,
                    Err(_) => readers.push(reader),
                }
            }
        }
        if let Some(slow) = slow {
            self.end(&database, case.ending, slow).await;
        }
        for reader in readers {
            judge("a reader that waited", reader.await.unwrap())?;
        }
        if case.moment == Moment::SlowEnded {
            deliver(&traps).await;
        }
        self.nothing_old(&open, &ids).await?;
        if case.moment == Moment::Stored {
            deliver(&traps).await;
            self.nothing_old(&open, &ids).await?;
        }
        Ok(all)
    }

    /// Plays a trick on the next command of this kind for `key`.
    pub fn trap(&self, key: &str, is_it: &fn(&Command) -> bool, trick: Trick) -> Trap {
        let (key, is_it) = (key.to_owned(), *is_it);
        self.proxy.on_next(
            move |command| is_it(command) && command.has_arg(&key),
            trick,
        )
    }

    /// Every read must return version 2.
    ///
    /// # Errors
    ///
    /// A read returned something older.
    pub async fn nothing_old(&self, open: &Gated, ids: &[String]) -> Result<(), String> {
        for strategy in [Fresh, Refresh, Fresh] {
            for service in [&self.shaky, &self.sound] {
                let seen = read(service, open, ids, strategy).await;
                judge(&format!("{strategy}"), seen)?;
            }
        }
        Ok(())
    }

    async fn end(
        &self,
        database: &Gated,
        ending: Ending,
        slow: JoinHandle<cache_kit::Result<Vec<Seen>>>,
    ) {
        match ending {
            Ending::Stores => {
                database.let_through(1);
                slow.await.unwrap().unwrap();
            }
            Ending::Fails => {
                database.fail(Some(Error::RepositoryError("on purpose".into())));
                database.let_through(1);
                assert!(slow.await.unwrap().is_err());
            }
            Ending::Dropped => {
                slow.abort();
                assert!(slow.await.is_err());
            }
        }
    }

    async fn invalidate(&self, open: &Gated, ids: &[String], invalidation: Invalidation) {
        let done = match invalidation {
            Invalidation::ByHand => {
                ids.iter().for_each(|id| self.server.delete(&key_of(id)));
                return;
            }
            Invalidation::Strategy => {
                let seen = read(&self.sound, open, ids, Invalidate).await.unwrap();
                assert!(seen.iter().all(|(_, version)| *version == Some(2)));
                return;
            }
            Invalidation::Many => self.sound.invalidate_many::<Ghost>(ids).await,
            Invalidation::Elsewhere => each(&self.sound, ids).await,
            Invalidation::Here => each(&self.shaky, ids).await,
        };
        assert_eq!(done.unwrap(), Invalidated::Done);
    }
}

async fn each<B: CacheBackend>(
    service: &CacheService<B>,
    ids: &[String],
) -> cache_kit::Result<Invalidated> {
    for id in ids {
        let done = service.invalidate::<Ghost>(id).await?;
        assert_eq!(done, Invalidated::Done);
    }
    Ok(Invalidated::Done)
}

async fn deliver(traps: &[Trap]) {
    for trap in traps {
        trap.deliver().await;
    }
}

/// # Errors
///
/// A read returned something older than version 2, or an absence.
pub fn judge(who: &str, seen: cache_kit::Result<Vec<Seen>>) -> Result<(), String> {
    for (source, version) in seen.unwrap() {
        if source != Source::Nothing && version != Some(2) {
            return Err(format!("{who} got {version:?} from {source}"));
        }
    }
    Ok(())
}

/// The names that one store gives to the commands of a call, and a scene with it.
#[derive(Debug)]
pub struct Stage<M> {
    /// A scene of its own for each case.
    pub scene: M,
    /// Look-ups.
    pub get: Kind,
    /// Leases, except those of an invalidation.
    pub claim: Kind,
    /// The lease of an invalidation.
    pub set: Kind,
    /// Stores.
    pub swap: Kind,
    /// Releases.
    pub remove: Kind,
    /// Invalidations without a load.
    pub delete: Kind,
}

impl<'s, B, S, M> Stage<M>
where
    B: CacheBackend,
    S: ByHand + 's,
    M: Fn() -> Scene<'s, B, S>,
{
    /// The commands of a slow call, by strategy.
    fn sent(&self) -> Vec<(CacheStrategy, Kind)> {
        vec![
            (Refresh, self.get),
            (Refresh, self.claim),
            (Refresh, self.swap),
            (Bypass, self.claim),
            (Bypass, self.swap),
            (Invalidate, self.set),
            (Invalidate, self.swap),
        ]
    }

    /// Each command of each strategy, at any moment, before any kind of invalidation.
    pub async fn each_command(&self, batch: bool) {
        let mut tally = Tally::default();
        for (strategy, kind) in self.sent() {
            for moment in MOMENTS {
                for invalidation in INVALIDATIONS {
                    for (before, present) in [
                        (Before::Nothing, true),
                        (Before::Nothing, false),
                        (Before::Foreign, true),
                        (Before::Entry, true),
                        (Before::Entry, false),
                    ] {
                        if before == Before::Entry && strategy == Refresh
                            || before != Before::Nothing && batch
                        {
                            continue;
                        }
                        let case = Case {
                            batch,
                            before,
                            present,
                            invalidation,
                            ..Case::of(std::slice::from_ref(&kind), strategy, moment)
                        };
                        tally.play((self.scene)(), case).await;
                    }
                }
            }
        }
        tally.report();
    }

    /// A claim that is lost together with its store, and one that is lost twice.
    pub async fn two_commands(&self) {
        let mut tally = Tally::default();
        for (strategy, late) in [
            (Refresh, [self.claim, self.swap]),
            (Bypass, [self.claim, self.swap]),
            (Invalidate, [self.set, self.swap]),
            (Refresh, [self.claim, self.claim]),
            (Bypass, [self.claim, self.claim]),
            (Invalidate, [self.set, self.set]),
        ] {
            for moment in MOMENTS {
                for batch in [false, true] {
                    let case = Case {
                        batch,
                        ..Case::of(&late, strategy, moment)
                    };
                    tally.play((self.scene)(), case).await;
                }
            }
        }
        tally.report();
    }

    /// The command by which a slow call gives up its lease.
    pub async fn releases(&self) {
        let mut tally = Tally::default();
        for strategy in [Refresh, Bypass, Invalidate] {
            for moment in MOMENTS {
                for ending in [Ending::Fails, Ending::Dropped] {
                    let case = Case {
                        ending,
                        ..Case::of(std::slice::from_ref(&self.remove), strategy, moment)
                    };
                    tally.play((self.scene)(), case).await;
                }
            }
        }
        tally.report();
    }

    /// An invalidation whose first copy arrives long after it was acknowledged, when others have
    /// filled the cache again.
    ///
    /// # Panics
    ///
    /// When something older than version 2 is served.
    pub async fn deletions(&self, pending: impl Fn(&CacheService<B>) -> usize) {
        for batch in [false, true] {
            let scene = (self.scene)();
            let ids = fresh_ids(batch);
            let database = Gated::open();
            ids.iter().for_each(|id| database.set(id, 1));
            read(&scene.shaky, &database, &ids, Refresh).await.unwrap();
            ids.iter().for_each(|id| database.set(id, 2));
            let late = scene.trap(&key_of(&ids[0]), &self.delete.1, Trick::LateCommand);
            let done = scene.shaky.invalidate_many::<Ghost>(&ids).await.unwrap();
            assert!(late.has_sprung());
            if done == Invalidated::Pending {
                eventually_async("the queue is empty", LIMIT, || pending(&scene.shaky) == 0).await;
            }
            scene.nothing_old(&database, &ids).await.unwrap();
            late.deliver().await;
            scene.nothing_old(&database, &ids).await.unwrap();
        }
    }

    /// A leader that goes away while its lease command is in flight, and a successor that requests
    /// the same lease in the same tick of the clock.
    ///
    /// # Panics
    ///
    /// When something older than version 2 is served.
    pub async fn successor(&self) {
        let mut tally = Tally::default();
        for first in [Refresh, Invalidate] {
            for cut_first in [false, true] {
                for read_before in [false, true] {
                    tally.tried += 1;
                    let played = self.succeed(first, cut_first, read_before).await;
                    if let Err(why) = played {
                        let case = format!("{first}, cut {cut_first}, read {read_before}");
                        tally.failed.push(format!("{case}: {why}"));
                    }
                }
            }
        }
        tally.report();
    }

    async fn succeed(
        &self,
        first: CacheStrategy,
        cut_first: bool,
        read_before: bool,
    ) -> Result<(), String> {
        let scene = (self.scene)();
        let ids = fresh_ids(false);
        let key = key_of(&ids[0]);
        let database = Gated::closed();
        let open = database.with_open_gate();
        database.set(&ids[0], 1);
        // So that the wire stands.
        let warm = read(&scene.shaky, &open, &fresh_ids(false), Refresh).await;
        warm.unwrap();

        let kind = if first == Refresh {
            self.claim
        } else {
            self.set
        };
        let held = scene.trap(&key, &kind.1, Trick::HoldCommand);
        let mut look_ups = Vec::new();
        let (mut leader, joiner);
        if first == Refresh {
            // Both look up before one of them leads.
            scene.proxy.hold();
            leader = spawn(&scene.shaky, &database, &ids, first);
            let polls = Polls::default();
            joiner = tokio::spawn(polls.count(read_owned(&scene.shaky, &database, &ids)));
            eventually_async("both have asked", LIMIT, || {
                scene.proxy.seen(self.get.0) >= 3
            })
            .await;
            look_ups.push(polls);
            scene.proxy.release();
        } else {
            let asked = scene.trap(&key, &self.get.1, Trick::HoldAnswer);
            let polls = Polls::default();
            joiner = tokio::spawn(polls.count(read_owned(&scene.shaky, &database, &ids)));
            asked.sprung().await;
            leader = spawn(&scene.shaky, &database, &ids, first);
            held.sprung().await;
            look_ups.push(polls);
            asked.release();
        }
        held.sprung().await;
        // It is polled when its look-up is answered, and joins the flight then.
        let before = look_ups[0].so_far();
        eventually_async("the successor boards", LIMIT, || {
            look_ups[0].so_far() > before || look_ups[0].so_far() >= 2
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
}

async fn owned_read<B: CacheBackend>(
    service: CacheService<B>,
    database: Gated,
    ids: Vec<String>,
) -> cache_kit::Result<Vec<Seen>> {
    read(&service, &database, &ids, Refresh).await
}

fn read_owned<B: CacheBackend>(
    service: &CacheService<B>,
    database: &Gated,
    ids: &[String],
) -> impl Future<Output = cache_kit::Result<Vec<Seen>>> + Send + use<B> {
    owned_read(service.clone(), database.clone(), ids.to_vec())
}

/// How often a future was polled.
#[derive(Debug, Default, Clone)]
struct Polls(Arc<AtomicUsize>);

impl Polls {
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

/// The results of many cases.
#[derive(Debug, Default)]
pub struct Tally {
    tried: usize,
    /// By late commands: whether all of them were sent in some case.
    sent: BTreeMap<String, bool>,
    failed: Vec<String>,
}

impl Tally {
    /// Runs `case` in `scene`.
    pub async fn play<B: CacheBackend, S: ByHand>(
        &mut self,
        scene: Scene<'_, B, S>,
        case: Case<'_>,
    ) {
        self.tried += 1;
        let names: Vec<_> = case.late.iter().map(|(name, _)| *name).collect();
        let sent = self.sent.entry(names.join(" and ")).or_default();
        match scene.play(case).await {
            Ok(all) => *sent |= all,
            Err(why) => {
                *sent = true;
                self.failed.push(format!("{case:?}: {why}"));
            }
        }
    }

    /// Ends the test if any case failed, and says which.
    ///
    /// # Panics
    ///
    /// When one failed, or there were none.
    pub fn report(self) {
        let (tried, failed) = (self.tried, &self.failed);
        assert!(tried > 0, "nothing was tried");
        let never: Vec<_> = self.sent.iter().filter(|(_, sent)| !**sent).collect();
        assert!(never.is_empty(), "never sent: {never:?}");
        let some: Vec<_> = failed.iter().take(12).collect();
        assert!(
            failed.is_empty(),
            "{} of {tried} cases: {some:#?}",
            failed.len()
        );
    }
}
