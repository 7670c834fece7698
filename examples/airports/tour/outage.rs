//! The database fails for a moment.

use axum::http::StatusCode;
use serde_json::json;

use crate::answer::Origin;
use crate::failure::Failure;
use crate::report::grouped;
use crate::tour::{Client, Reply, Tally, Tour};

const WARM: usize = 200;
const COLD: usize = 50;
const UPDATES: usize = 20;

pub(super) async fn visit(tour: &mut Tour<'_>) -> Result<(), Failure> {
    let before = tour.statements().await?;
    let warm: Vec<String> = tour.airports.iter().take(WARM).cloned().collect();
    // The first two were used by the stampede and the race.
    let cold = tour.cold_airports(2 + COLD)?.split_off(2);
    let cold = &cold[..COLD];
    let mut client = tour.client().await?;
    let mut tally = Tally::default();

    // Those that the mix left out are cached now.
    let expected = read(&mut client, &warm, &mut tally).await?;
    let faults = tour.server.app().airports().faults().clone();
    faults.set_failing(true);
    let during = outage(&mut client, &warm, cold, &mut tally).await;
    faults.set_failing(false);
    let During {
        updates,
        served,
        refused,
    } = during?;
    let recovered = read(&mut client, cold, &mut tally).await?;
    // The shipped elevations have at most one decimal.
    let elevation = 1_234.56;
    let updated = client
        .change(&warm[0], &json!({ "elevation": elevation }))
        .await?;
    tally.add(&updated);
    let afterwards = client.airport(&warm[0], false).await?;
    tally.add(&afterwards);

    let same = |(now, then): (&Reply, &Reply)| {
        now.status == StatusCode::OK && now.origin() == Some(Origin::Hit) && now.body == then.body
    };
    let served_same = served
        .iter()
        .zip(&expected)
        .filter(|pair| same(*pair))
        .count();
    tour.report.promise(
        served_same == expected.len(),
        format!(
            "database down: {served_same} of {} cached airports still served",
            expected.len()
        ),
    );
    let unavailable = |reply: &&Reply| {
        reply.status == StatusCode::SERVICE_UNAVAILABLE
            && reply.json().is_some_and(|json| json["error"].is_string())
    };
    let refused_well = refused.iter().chain(&updates).filter(unavailable).count();
    tour.report.promise(
        refused_well == cold.len() + updates.len(),
        format!(
            "database down: {} reads of others and {} updates answered 503",
            cold.len(),
            updates.len(),
        ),
    );
    let well = recovered
        .iter()
        .filter(|reply| reply.status == StatusCode::OK)
        .count();
    let seen = updated.status == StatusCode::OK
        && afterwards
            .airport()
            .is_some_and(|airport| airport.elevation == elevation);
    tour.report.promise(
        well == cold.len() && seen,
        format!(
            "database back: {well} of those {} reads answered, an update was {}",
            cold.len(),
            if seen { "made and seen" } else { "lost" },
        ),
    );
    let after = tour.statements().await?;
    let queries = after.reads + after.writes - before.reads - before.writes;
    tour.report.promise(
        after.failed - before.failed == (COLD + UPDATES) as u64,
        format!(
            "the outage cost {} failed statements, one for each request that needed it",
            grouped(after.failed - before.failed),
        ),
    );
    tour.report.phase("the database goes away", tally, queries);
    Ok(())
}

/// The answers while the database was failing.
struct During {
    updates: Vec<Reply>,
    served: Vec<Reply>,
    refused: Vec<Reply>,
}

/// Updates first, so that the reads after them show that a failed one changed nothing.
async fn outage(
    client: &mut Client,
    warm: &[String],
    cold: &[String],
    tally: &mut Tally,
) -> Result<During, Failure> {
    let mut updates = Vec::with_capacity(UPDATES);
    for icao in warm.iter().take(UPDATES) {
        let reply = client.change(icao, &json!({ "name": "Nowhere" })).await?;
        tally.add(&reply);
        updates.push(reply);
    }
    Ok(During {
        updates,
        served: read(client, warm, tally).await?,
        refused: read(client, cold, tally).await?,
    })
}

async fn read(
    client: &mut Client,
    airports: &[String],
    tally: &mut Tally,
) -> Result<Vec<Reply>, Failure> {
    let mut replies = Vec::with_capacity(airports.len());
    for icao in airports {
        let reply = client.airport(icao, false).await?;
        tally.add(&reply);
        replies.push(reply);
    }
    Ok(replies)
}
