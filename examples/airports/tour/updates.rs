//! Updates of hot airports: every writer reads back what it wrote, while others read the same
//! airports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::StatusCode;
use fastrand::Rng;
use serde_json::json;
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::report::grouped;
use crate::tour::{Client, Reply, Tally, Tour};

/// Each writer has this many airports for itself, so that it knows what it must read.
const AIRPORTS_PER_WRITER: usize = 4;

#[derive(Default)]
struct Seen {
    tally: Tally,
    /// Updates that were read back.
    updates: u64,
    /// Reads that returned something older than the reader knew of.
    older: u64,
}

pub(super) async fn visit(tour: &mut Tour<'_>) -> Result<(), Failure> {
    let before = tour.statements().await?;
    let hot: Arc<[String]> = tour
        .airports
        .iter()
        .take(tour.plan.writers * AIRPORTS_PER_WRITER)
        .cloned()
        .collect();
    let done = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    let mut writers = JoinSet::new();
    for client in tour.clients(tour.plan.writers).await? {
        let rng = Rng::with_seed(tour.plan.seed ^ readers.len() as u64);
        readers.spawn(read(client, hot.clone(), rng, done.clone()));
    }
    let clients = tour.clients(tour.plan.writers).await?;
    for (client, own) in clients.into_iter().zip(hot.chunks(AIRPORTS_PER_WRITER)) {
        writers.spawn(write(client, own.to_vec(), tour.plan.updates));
    }
    let written = gather(writers).await;
    // Also after a failure; otherwise the readers would go on for ever.
    done.store(true, Ordering::Relaxed);
    let read = gather(readers).await?;
    let written = written?;

    let expected = (tour.plan.writers * tour.plan.updates) as u64;
    tour.report.promise(
        written.updates == expected && written.older == 0,
        format!(
            "{} updates, each read back at once by its writer: {} saw an older row",
            grouped(written.updates),
            written.older,
        ),
    );
    let mut tally = written.tally;
    let reads = read.tally.requests();
    tour.report.promise(
        read.older == 0 && read.tally.odd + read.tally.unavailable + tally.odd == 0,
        format!(
            "{} reads of the same airports meanwhile: {} went back in time",
            grouped(reads),
            read.older,
        ),
    );
    tally.merge(read.tally);
    let after = tour.statements().await?;
    let queries = after.reads + after.writes - before.reads - before.writes;
    tour.report.phase("updates of hot airports", tally, queries);
    Ok(())
}

async fn gather(mut tasks: JoinSet<Result<Seen, Failure>>) -> Result<Seen, Failure> {
    let mut all = Seen::default();
    while let Some(task) = tasks.join_next().await {
        let seen = task.map_err(Failure::when("run a client"))??;
        all.tally.merge(seen.tally);
        all.updates += seen.updates;
        all.older += seen.older;
    }
    Ok(all)
}

async fn write(mut client: Client, own: Vec<String>, updates: usize) -> Result<Seen, Failure> {
    let mut seen = Seen::default();
    for (revision, icao) in (1..=updates).zip(own.iter().cycle()) {
        let name = format!("{icao} revision {revision}");
        let changed = client.change(icao, &json!({ "name": name })).await?;
        seen.tally.add(&changed);
        let read = client.airport(icao, false).await?;
        seen.tally.add(&read);
        seen.updates += u64::from(changed.status == StatusCode::OK);
        seen.older += u64::from([changed, read].iter().any(|reply| reply.name() != name));
    }
    Ok(seen)
}

async fn read(
    mut client: Client,
    airports: Arc<[String]>,
    mut rng: Rng,
    done: Arc<AtomicBool>,
) -> Result<Seen, Failure> {
    let mut seen = Seen::default();
    let mut newest = vec![0; airports.len()];
    while !done.load(Ordering::Relaxed) {
        let rank = rng.usize(..airports.len());
        let reply = client.airport(&airports[rank], false).await?;
        seen.tally.add(&reply);
        let revision = revision(&reply);
        seen.older += u64::from(revision < newest[rank]);
        newest[rank] = newest[rank].max(revision);
    }
    Ok(seen)
}

/// The revision in an airport's name; 0 before the first.
fn revision(reply: &Reply) -> usize {
    reply
        .name()
        .split_once(" revision ")
        .and_then(|(_, number)| number.parse().ok())
        .unwrap_or(0)
}
