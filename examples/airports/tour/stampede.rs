//! All connections ask for one airport that is not cached.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::faults::Statement;
use crate::report::grouped;
use crate::tour::{Tally, Tour, open_files};

pub(super) async fn visit(tour: &mut Tour<'_>) -> Result<(), Failure> {
    let icao = tour.cold_airports(1)?.swap_remove(0);
    let stampede = open_files::allow_connections(tour.plan.stampede as u64);
    let clients = tour.clients(stampede as usize).await?;
    let before = tour.statements().await?;
    let app = tour.server.app();
    let arrived_before = app.requests();
    // The query takes as long as all of them need to arrive: the worst case.
    let mut held = app.airports().faults().hold_next(Statement::Read);
    let mut asking = JoinSet::new();
    for mut client in clients {
        let icao = icao.clone();
        asking.spawn(async move { client.airport(&icao, false).await });
    }
    if !held.reached().await {
        return Err(Failure::when("hold a read up")("it never came"));
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    while app.requests() - arrived_before < stampede && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let arrived = app.requests() - arrived_before;
    held.release();
    let mut tally = Tally::default();
    while let Some(reply) = asking.join_next().await {
        tally.add(&reply.map_err(Failure::when("run a client"))??);
    }
    let queries = tour.statements().await?.reads - before.reads;
    tour.report.promise(
        queries == 1 && arrived == stampede && tally.loaded + tally.shared + tally.hits == arrived,
        format!(
            "{} requests for one cold airport, all there before its query ended: {}",
            grouped(arrived),
            if queries == 1 {
                "1 query".into()
            } else {
                format!("{queries} queries")
            },
        ),
    );
    tour.report
        .phase("stampede on a cold airport", tally, queries);
    Ok(())
}
