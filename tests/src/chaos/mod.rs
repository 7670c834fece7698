//! Chaos: callers of every kind, on several runtimes, over stores and wires that break in every
//! way.
//!
//! Each run ends with a report. An oracle knows the minimum version of every read: the version that
//! was committed before the last invalidation that had been acknowledged when the read began. Every
//! call has to end within the sum of its deadlines, whatever other callers do. And the cache has to
//! hit again soon after the trouble has ended, in every process and on every runtime.
//!
//! A seed gives the same plan, but not the same run: the timing of threads and wires depends on the
//! machine.

mod callers;
mod rows;
mod sky;
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cache_kit::CacheStrategy::{Fresh, Refresh};
use cache_kit::backend::{
    CacheBackend, InMemoryBackend, MemcachedBackend, MemcachedConfig, RedisBackend, RedisConfig,
};
use cache_kit::testing::FaultyBackend;
use cache_kit::{CacheExpander, CacheService, Error, Result, SharedFeeder, Source};
use fastrand::Rng;
use tokio::runtime::{Builder, Runtime};

use crate::servers::{MemcachedServer, Proxy, RedisCluster, RedisServer};
use rows::{Brief, Lasting, ON_PURPOSE, Rows, Steady, Thing};
use sky::{Inside, Nodes, Outside, Restrict, Sky, USER};
use tally::Tally;

pub use tally::Report;

const ROWS: usize = 24;

/// How many processes there are. The last one has a wire of its own to the server.
const PROCESSES: usize = 3;

const CALLERS: usize = 32;

/// Threads whose runtimes come and go.
const VISITORS: usize = 2;

const OPERATION_DEADLINE: Duration = Duration::from_millis(250);
const LOAD_DEADLINE: Duration = Duration::from_millis(600);
const LEASE_WAIT: Duration = Duration::from_millis(100);

/// A look-up; another call's load, as long as a load of its own may take; four tries for a lease
/// and the waits between them; a load; a store, and what follows one that is too large.
const DEADLINES: Duration = Duration::from_millis(250 + 600 + 4 * (250 + 100) + 600 + 2 * 250);

/// In memory only loads take long: another call's, and its own.
const DEADLINES_OF_MEMORY: Duration = Duration::from_millis(600 + 600);

/// The allowance for a busy machine.
const BUSY: Duration = Duration::from_secs(4);

/// How long the shutdown may take.
const END: Duration = Duration::from_secs(30);

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Store {
    /// Memory whose commands fail at times.
    Memory,
    /// A Redis server and the wires to it.
    Redis,
    /// A memcached server and the wires to it.
    Memcached,
    /// A Redis Cluster of three nodes whose slots move. It has no replicas: what a failover loses is
    /// lost to every cache.
    Cluster,
}

/// The settings of a run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// What is broken.
    pub store: Store,
    /// How long it runs. The shutdown takes some seconds more.
    pub length: Duration,
    /// The seed of the plan.
    pub seed: u64,
    /// How soon the cache has to hit again after trouble has ended.
    pub healing: Duration,
}

/// What all callers share.
struct World<B: CacheBackend> {
    services: Vec<CacheService<B>>,
    rows: Rows,
    tally: Tally,
    /// When a call counts as unanswered.
    limit: Duration,
    ended: AtomicBool,
}

impl<B: CacheBackend> World<B> {
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn unanswered(&self, process: usize, rows: &[usize], what: &str) {
        let limit = self.limit;
        self.tally.unanswered(format!(
            "process {process}, rows {rows:?}: {what}, after {limit:?}"
        ));
    }
}

/// Runs a plan to its end.
///
/// # Errors
///
/// When backends, runtimes or threads cannot be created.
pub fn run(plan: Plan) -> Result<Report> {
    quiet_panics();
    match plan.store {
        Store::Memory => {
            let backend = FaultyBackend::new(InMemoryBackend::new());
            let services = (0..PROCESSES).map(|_| service(backend.clone())).collect();
            play(plan, services, Inside(backend))
        }
        Store::Redis => {
            let (user, password) = USER;
            let known = format!(">{password}");
            let server = RedisServer::options()
                .args(["--user", user, "on", &known, "allkeys", "+@all"])
                .start();
            let proxies = [
                Proxy::in_front_of(server.addr()),
                Proxy::in_front_of(server.addr()),
            ];
            let ports = [proxies[0].port(), proxies[1].port(), server.port()];
            let services = ports.iter().map(|port| {
                let url = format!("redis://{user}:{password}@127.0.0.1:{port}");
                let config = RedisConfig::from_url(&url)?;
                let config =
                    config.set(|encoded| encoded.with_operation_deadline(OPERATION_DEADLINE));
                Ok(service(RedisBackend::new(config)?))
            });
            play(
                plan,
                services.collect::<Result<_>>()?,
                outside(server, proxies),
            )
        }
        Store::Memcached => {
            let server = MemcachedServer::start();
            let proxies = [
                Proxy::in_front_of_memcached(server.addr()),
                Proxy::in_front_of_memcached(server.addr()),
            ];
            let urls = [
                server.url_through(&proxies[0]),
                server.url_through(&proxies[1]),
                server.url(),
            ];
            let services = urls.iter().map(|url| {
                let config = MemcachedConfig::from_url(url)?;
                let config =
                    config.set(|encoded| encoded.with_operation_deadline(OPERATION_DEADLINE));
                Ok(service(MemcachedBackend::new(config)?))
            });
            play(
                plan,
                services.collect::<Result<_>>()?,
                outside(server, proxies),
            )
        }
        Store::Cluster => {
            let cluster = RedisCluster::with(3, 0, &RedisServer::options());
            cluster.notice_failures();
            let url = cluster.url();
            let services = (0..PROCESSES).map(|_| {
                let config = RedisConfig::from_url(&url)?;
                let config =
                    config.set(|encoded| encoded.with_operation_deadline(OPERATION_DEADLINE));
                Ok(service(RedisBackend::new(config)?))
            });
            play(plan, services.collect::<Result<_>>()?, Nodes(cluster))
        }
    }
}

fn outside<S: Restrict>(server: S, proxies: [Proxy; 2]) -> Outside<S> {
    Outside {
        server,
        proxies: proxies.into(),
        traps: Vec::new(),
    }
}

fn service<B: CacheBackend>(backend: B) -> CacheService<B> {
    CacheExpander::new(backend)
        .with_load_deadline(LOAD_DEADLINE)
        .with_lease_wait(LEASE_WAIT)
        .into()
}

fn play<B: CacheBackend>(
    plan: Plan,
    services: Vec<CacheService<B>>,
    mut sky: impl Sky,
) -> Result<Report> {
    let rng = &mut Rng::with_seed(plan.seed);
    let world = Arc::new(World {
        rows: Rows::new(ROWS, services.len(), rng.u64(..)),
        services,
        tally: Tally::default(),
        limit: BUSY
            + match plan.store {
                Store::Memory => DEADLINES_OF_MEMORY,
                Store::Redis | Store::Memcached | Store::Cluster => DEADLINES,
            },
        ended: AtomicBool::new(false),
    });
    let runtimes = [runtime(2)?, runtime(1)?];
    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let calls = callers::calls(Arc::clone(&world), rng.u64(..));
        callers.push(runtimes[caller % runtimes.len()].spawn(calls));
    }
    let visitors = (0..VISITORS).map(|_| {
        let (here, seed) = (Arc::clone(&world), rng.u64(..));
        thread::spawn(move || visits(&here, seed))
    });
    let visitors: Vec<_> = visitors.collect();

    let begun = Instant::now();
    while begun.elapsed() < plan.length {
        for _ in 0..rng.u8(1..6) {
            let what = sky.turn(rng);
            world.tally.weather(what);
        }
        sky.clear();
        heal(&world, &runtimes, plan.healing, rng);
    }

    sky.clear();
    world.ended.store(true, Ordering::Relaxed);
    let ending = Instant::now();
    let have_ended = || {
        callers.iter().all(|caller| caller.is_finished())
            && visitors.iter().all(|visitor| visitor.is_finished())
    };
    while !have_ended() {
        if ending.elapsed() > END {
            world.tally.broken("some callers never end".into());
            break;
        }
        thread::park_timeout(Duration::from_millis(5));
    }
    world.rows.calm();
    heal(&world, &runtimes, plan.healing, rng);
    runtimes[0].block_on(last_look(&world));
    for runtime in runtimes {
        runtime.shutdown_background();
    }
    Ok(world.tally.report(world.rows.loads()))
}

fn runtime(threads: usize) -> Result<Runtime> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build();
    runtime.map_err(|error| Error::ConfigError(format!("no runtime: {error}")))
}

/// Runtimes that come and go: some end in the middle of calls, some are kept and stand still.
fn visits<B: CacheBackend>(world: &Arc<World<B>>, seed: u64) {
    let rng = &mut Rng::with_seed(seed);
    while !world.has_ended() {
        let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
            continue;
        };
        for _ in 0..rng.u8(1..4) {
            runtime.spawn(callers::calls(Arc::clone(world), rng.u64(..)));
        }
        let driven = Duration::from_millis(rng.u64(1..250));
        runtime.block_on(async { tokio::time::sleep(driven).await });
        match rng.u8(..8) {
            0..2 => thread::sleep(Duration::from_millis(rng.u64(50..1_500))),
            2 => thread::sleep(Duration::from_millis(rng.u64(3_000..8_000))),
            _ => {}
        }
        if rng.bool() {
            drop(runtime);
        } else {
            runtime.shutdown_background();
        }
    }
}

/// All trouble has ended: all callers must hit again soon.
fn heal<B: CacheBackend>(world: &World<B>, runtimes: &[Runtime], limit: Duration, rng: &mut Rng) {
    let healed = Instant::now();
    let mut probes = Vec::new();
    for (process, service) in world.services.iter().enumerate() {
        for (number, runtime) in runtimes.iter().enumerate() {
            let (service, id) = (service.clone(), format!("probe-{}", rng.u64(..)));
            let probe = runtime.spawn(async move {
                while !hits(&service, &id).await {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
            probes.push((process, number, probe));
        }
    }
    for (process, number, probe) in probes {
        while !probe.is_finished() && healed.elapsed() < limit {
            thread::park_timeout(Duration::from_millis(1));
        }
        if !probe.is_finished() {
            probe.abort();
            world.tally.broken(format!(
                "process {process} on runtime {number} does not hit within {limit:?}"
            ));
        }
    }
    world.tally.healed(healed.elapsed());
}

async fn hits<B: CacheBackend>(service: &CacheService<B>, id: &str) -> bool {
    let mut feeder = SharedFeeder::<Lasting>::new(id.to_owned());
    let outcome = service.execute(&mut feeder, &Steady, Refresh).await;
    outcome.is_ok_and(|outcome| outcome.is_hit())
}

/// Checks that nothing old is left, and that no load is in flight.
async fn last_look<B: CacheBackend>(world: &World<B>) {
    for row in 0..world.rows.len() {
        if row % 2 == 0 {
            look::<Brief, B>(world, row).await;
        } else {
            look::<Lasting, B>(world, row).await;
        }
    }
    let begun = Instant::now();
    for (process, service) in world.services.iter().enumerate() {
        while service.expander().loads_in_flight() > 0 {
            if begun.elapsed() > END {
                let left = service.expander().loads_in_flight();
                world
                    .tally
                    .broken(format!("process {process} has {left} loads in flight"));
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn look<T: Thing, B: CacheBackend>(world: &World<B>, row: usize) {
    for strategy in [Fresh, Refresh] {
        for (process, service) in world.services.iter().enumerate() {
            let floor = world.rows.floor(row, process);
            let mut feeder = SharedFeeder::<T>::new(world.rows.id(row).clone());
            let found = service.execute(&mut feeder, &world.rows, strategy);
            let seen = match tokio::time::timeout(world.limit, found).await {
                Ok(Ok(outcome)) if outcome.source() == Source::Nothing => continue,
                Ok(Ok(_)) => feeder.entity.map(|entity| entity.version()),
                Ok(Err(error)) => {
                    world
                        .tally
                        .broken(format!("at the end, {strategy}: {error}"));
                    continue;
                }
                Err(_) => {
                    world.unanswered(process, &[row], "at the end");
                    continue;
                }
            };
            if !world.rows.allows(row, floor, seen) {
                world.tally.stale(format!(
                    "at the end, process {process}, row {row}: {seen:?}, due was {floor}"
                ));
            }
        }
    }
}

/// Keeps intended panics of loads out of the output.
fn quiet_panics() {
    static QUIET: std::sync::Once = std::sync::Once::new();
    QUIET.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let text = panic.payload().downcast_ref::<String>();
            if text.is_none_or(|text| text != ON_PURPOSE) {
                others(panic);
            }
        }));
    });
}
