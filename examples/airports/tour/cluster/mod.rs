//! Two instances of the service that share a cache in a Redis Cluster: a slot moves, and a node is
//! killed.

use fastrand::Rng;

use self::nodes::{Nodes, slot_of};
use super::instances::Instances;
use super::{Plan, Tally, airports_by_popularity, unless_stopped};
use crate::answer::Origin;
use crate::failure::Failure;
use crate::report::Report;

mod failover;
mod nodes;
mod resharding;

const NO_CLUSTER: &str =
    "a cluster; this needs redis-server 7 or newer (apt-get or brew install redis)";

/// How many airports the instances share.
const AIRPORTS: usize = 300;

/// The context of every phase of this part.
struct Tour<'a> {
    nodes: &'a mut Nodes,
    instances: &'a Instances,
    /// All airports, the most popular first; the instances share the first [`AIRPORTS`].
    airports: Vec<String>,
    report: &'a mut Report,
}

/// Starts a cluster and two instances, runs the phases, and stops them. If there is no redis-server
/// that can do it, the report says so.
pub(super) async fn run(
    plan: &Plan,
    report: &mut Report,
    stop: &mut (impl Future<Output = ()> + Unpin),
) -> Result<(), Failure> {
    let Some(mut nodes) = unless_stopped(Nodes::start(plan.redis_server), stop).await? else {
        report.left_out(NO_CLUSTER);
        return Ok(());
    };
    let instances = Instances::start(&nodes.url()).await?;
    let tour = Tour {
        nodes: &mut nodes,
        instances: &instances,
        airports: airports_by_popularity(&mut Rng::with_seed(plan.seed))?,
        report,
    };
    let visited = unless_stopped(visit(tour), stop).await;
    let stopped = instances.stop().await.and(nodes.stop());
    visited?;
    report.promise(
        stopped.is_ok(),
        "both instances and the six nodes stopped, their files are gone",
    );
    stopped
}

async fn visit(mut tour: Tour<'_>) -> Result<(), Failure> {
    reads(&mut tour).await?;
    resharding::visit(&mut tour).await?;
    failover::visit(&mut tour).await
}

/// The slot of an airport's key in the cache.
fn slot_of_airport(icao: &str) -> u16 {
    slot_of(&format!("airport:{icao}"))
}

/// The place of the primary that keeps an airport at first.
fn keeper_of(icao: &str) -> usize {
    Nodes::keeper_of(slot_of_airport(icao))
}

/// Every airport is asked for at one instance, then at the other.
async fn reads(tour: &mut Tour<'_>) -> Result<(), Failure> {
    let before = tour.instances.queries().await?;
    let mut clients = tour.instances.clients().await?;
    let mut tally = Tally::default();
    let mut as_expected = 0;
    let mut kept = [0; nodes::PRIMARIES];
    for (rank, icao) in tour.airports.iter().take(AIRPORTS).enumerate() {
        let first = clients[rank % 2].airport(icao, false).await?;
        let second = clients[(rank + 1) % 2].airport(icao, false).await?;
        let origins = (first.origin(), second.origin());
        as_expected += usize::from(
            origins == (Some(Origin::Loaded), Some(Origin::Hit)) && first.body == second.body,
        );
        kept[keeper_of(icao)] += 1;
        tally.add(&first);
        tally.add(&second);
    }
    let queries = tour.instances.queries().await? - before;
    let [a, b, c] = kept;
    tour.report.promise(
        as_expected == AIRPORTS && kept.iter().all(|kept| *kept > 0),
        format!(
            "a cluster: {as_expected} of {AIRPORTS} airports were hits at the other instance; nodes \
             keep {a}, {b}, {c}",
        ),
    );
    tour.report.phase("a cluster of three", tally, queries);
    Ok(())
}
