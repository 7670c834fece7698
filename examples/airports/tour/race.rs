//! The race that makes caches stale: a slow reader has the old row while the row is updated.

use serde_json::json;

use crate::answer::Origin;
use crate::failure::Failure;
use crate::faults::Statement;
use crate::tour::{Tally, Tour};

pub(super) async fn visit(tour: &mut Tour<'_>) -> Result<(), Failure> {
    let before = tour.statements().await?;
    let fenced = tour.cache_counter("fenced").await?;
    // The stampede uses the first one.
    let icao = tour.cold_airports(2)?.swap_remove(1);
    let mut slow = tour.client().await?;
    let mut other = tour.client().await?;
    let mut held = tour
        .server
        .app()
        .airports()
        .faults()
        .hold_next(Statement::Read);

    let slow_read = tokio::spawn({
        let icao = icao.clone();
        async move { slow.airport(&icao, false).await }
    });
    if !held.reached().await {
        return Err(Failure::when("hold a read up")("it never came"));
    }
    // The slow reader has its row and has not stored it yet.
    let updated = other
        .change(&icao, &json!({ "name": "The New Name" }))
        .await?;
    held.release();
    let slow_read = slow_read.await.map_err(Failure::when("run a reader"))??;
    let afterwards = other.airport(&icao, false).await?;

    let mut tally = Tally::default();
    [&slow_read, &updated, &afterwards]
        .into_iter()
        .for_each(|reply| tally.add(reply));
    let fenced = tour.cache_counter("fenced").await? - fenced;
    tour.report.promise(
        fenced == 1
            && slow_read.origin() == Some(Origin::Loaded)
            && slow_read.name() != "The New Name"
            && updated.name() == "The New Name"
            && afterwards.name() == "The New Name",
        "a slow load with the old row in hand did not undo the update that overtook it",
    );
    let after = tour.statements().await?;
    let queries = after.reads + after.writes - before.reads - before.writes;
    tour.report
        .phase("an update overtakes a load", tally, queries);
    Ok(())
}
