//! Two instances of the service that share one cache in Redis.
//!
//! Both are in this process, and share only the address of the Redis server and the file of the
//! database: each has its own backend, connection, pool and counters, as two processes would.

use std::net::SocketAddr;

use fastrand::Rng;

use super::instances::Instances;
use super::redis_server::RedisServer;
use super::{Client, Plan, airports_by_popularity, unless_stopped};
use crate::failure::Failure;
use crate::report::Report;

mod outage;
mod sharing;

const NO_REDIS: &str =
    "two instances over one Redis; this needs redis-server (apt-get or brew install redis)";

/// How many airports the instances share.
const AIRPORTS: usize = 200;

/// The context of every phase of this part.
struct Pair<'a> {
    plan: &'a Plan,
    redis: &'a mut RedisServer,
    instances: &'a Instances,
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
    let instances = Instances::start(&redis.url()).await?;
    let pair = Pair {
        plan,
        redis: &mut redis,
        instances: &instances,
        airports: airports_by_popularity(&mut Rng::with_seed(plan.seed))?,
        report,
    };
    let visited = unless_stopped(visit(pair), stop).await;
    let stopped = instances.stop().await.and(redis.stop());
    visited?;
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
        self.instances.addresses()
    }

    /// A connection to each instance.
    async fn clients(&self) -> Result<[Client; 2], Failure> {
        self.instances.clients().await
    }

    /// Statements that both have sent so far.
    async fn queries(&self) -> Result<u64, Failure> {
        self.instances.queries().await
    }
}
