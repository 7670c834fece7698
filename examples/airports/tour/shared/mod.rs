//! Two instances of the service that share one cache in Redis.
//!
//! Both are in this process, and share only the address of the Redis server and the file of the
//! database: each has its own backend, connection, pool and counters, as two processes would.

use std::net::SocketAddr;

use fastrand::Rng;

use self::redis_server::RedisServer;
use super::{ANY_PORT, Client, Plan, airports_by_popularity, statements, unless_stopped};
use crate::cache::Cache;
use crate::database::Location;
use crate::failure::Failure;
use crate::report::Report;
use crate::server::Server;

mod outage;
mod redis_server;
mod sharing;

const NO_REDIS: &str =
    "two instances over one Redis; this needs redis-server (apt-get or brew install redis)";

/// How many airports the instances share.
const AIRPORTS: usize = 200;

/// The context of every phase of this part.
struct Pair<'a> {
    plan: &'a Plan,
    redis: &'a mut RedisServer,
    instances: &'a [Server; 2],
    airports: Vec<String>,
    report: &'a mut Report,
}

/// Starts a Redis server and two instances, runs the phases, and stops them. If there is no
/// redis-server, the report says so.
pub(super) async fn run(
    plan: &Plan,
    report: &mut Report,
    stop: &mut (impl Future<Output = ()> + Unpin),
) -> Result<(), Failure> {
    let Some(mut redis) = RedisServer::start(plan.redis_server).await? else {
        report.left_out(NO_REDIS);
        return Ok(());
    };
    let directory = tempfile::Builder::new()
        .prefix("cache-kit-airports-")
        .tempdir()
        .map_err(Failure::when("make a temporary directory"))?;
    let file = Location::File(directory.path().join("airports.sqlite"));
    // One after the other: the first one creates the database.
    let first = Server::start(ANY_PORT, &file, Cache::open(&redis.url())?, false).await?;
    let second = Server::start(ANY_PORT, &file, Cache::open(&redis.url())?, false).await?;
    let instances = [first, second];
    let pair = Pair {
        plan,
        redis: &mut redis,
        instances: &instances,
        airports: airports_by_popularity(&mut Rng::with_seed(plan.seed))?,
        report,
    };
    let visited = unless_stopped(visit(pair), stop).await;
    let [first, second] = instances;
    let stopped = [first.stop().await, second.stop().await, redis.stop()];
    let removed = directory
        .close()
        .map_err(Failure::when("remove the temporary directory"));
    visited?;
    let stopped = stopped
        .into_iter()
        .chain([removed])
        .collect::<Result<(), _>>();
    report.promise(
        stopped.is_ok(),
        "both instances and their redis-server stopped, their files are gone",
    );
    stopped
}

async fn visit(mut pair: Pair<'_>) -> Result<(), Failure> {
    sharing::reads(&mut pair).await?;
    sharing::updates(&mut pair).await?;
    sharing::race(&mut pair).await?;
    sharing::stampede(&mut pair).await?;
    outage::visit(&mut pair).await
}

impl Pair<'_> {
    fn addresses(&self) -> [SocketAddr; 2] {
        self.instances.each_ref().map(Server::address)
    }

    /// A connection to each instance.
    async fn clients(&self) -> Result<[Client; 2], Failure> {
        let [first, second] = self.addresses();
        Ok([
            Client::connect(first).await?,
            Client::connect(second).await?,
        ])
    }

    /// Statements that both have sent so far.
    async fn queries(&self) -> Result<u64, Failure> {
        let mut queries = 0;
        for address in self.addresses() {
            let of = statements(address).await?;
            queries += of.reads + of.writes;
        }
        Ok(queries)
    }
}
