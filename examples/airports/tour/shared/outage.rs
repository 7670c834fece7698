//! The Redis server is killed, and comes back with the rows that it had.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{AIRPORTS, Pair};
use crate::answer::Origin;
use crate::failure::Failure;
use crate::report::grouped;
use crate::tour::instances::health;
use crate::tour::{Client, Reply, Tally};

/// How many airports are changed while Redis is down.
const CHANGED: usize = 20;

/// How long cache-kit waits for Redis by default, before it answers without it.
const DEADLINE: Duration = Duration::from_millis(500);

/// How soon the cache must serve again.
const BACK_WITHIN: Duration = Duration::from_secs(3);

pub(super) async fn visit(pair: &mut Pair<'_>) -> Result<(), Failure> {
    let airports = pair.airports[..AIRPORTS].to_vec();
    let (changed, untouched) = airports.split_at(CHANGED);
    let mut clients = pair.clients().await?;
    let mut expected = Vec::with_capacity(AIRPORTS);
    for icao in &airports {
        expected.push(clients[0].airport(icao, false).await?);
    }
    pair.redis.save_and_kill().await?;
    goes_away(pair, &mut clients, &airports, &expected).await?;
    comes_back(pair, &mut clients, changed, untouched).await
}

async fn goes_away(
    pair: &mut Pair<'_>,
    clients: &mut [Client; 2],
    airports: &[String],
    expected: &[Reply],
) -> Result<(), Failure> {
    let before = pair.queries().await?;
    let (reads, updates) = away(clients, airports).await?;
    let health = [
        health(&mut clients[0]).await?,
        health(&mut clients[1]).await?,
    ];
    let queries = pair.queries().await? - before;
    let served = reads
        .iter()
        .zip(expected.iter().flat_map(|reply| [reply, reply]))
        .filter(|(now, then)| now.origin() == Some(Origin::Loaded) && now.body == then.body)
        .count();
    let slowest = reads.iter().chain(&updates).map(|reply| reply.took).max();
    let slowest = slowest.unwrap_or_default();
    pair.report.promise(
        served == 2 * AIRPORTS && slowest < DEADLINE,
        format!(
            "Redis killed: {served} of {} reads answered from the database, the slowest answer \
             took {} ms",
            2 * AIRPORTS,
            slowest.as_millis(),
        ),
    );
    let pending = updates
        .iter()
        .filter(|reply| reply.status == StatusCode::OK && reply.is_pending())
        .count();
    let waiting =
        |health: &Value| health["available"] == false && health["pending_invalidations"] == CHANGED;
    pair.report.promise(
        pending == 2 * CHANGED && health.iter().all(waiting),
        format!("Redis killed: {pending} updates made, reported as pending by both instances"),
    );
    let mut tally = Tally::default();
    reads
        .iter()
        .chain(&updates)
        .for_each(|reply| tally.add(reply));
    pair.report.phase("Redis goes away", tally, queries);
    Ok(())
}

async fn comes_back(
    pair: &mut Pair<'_>,
    clients: &mut [Client; 2],
    changed: &[String],
    untouched: &[String],
) -> Result<(), Failure> {
    let before = pair.queries().await?;
    let mut watchers = JoinSet::new();
    for client in pair.clients().await? {
        watchers.spawn(watch(client, changed.to_vec(), untouched.to_vec()));
    }
    pair.redis.come_back().await?;
    let returned = Instant::now();
    let mut seen = Vec::new();
    while let Some(watcher) = watchers.join_next().await {
        seen.push(watcher.map_err(Failure::when("watch an instance"))??);
    }
    let mut tally = Tally::default();
    let (mut restored, mut older, mut reads) = (0, 0, 0);
    for client in clients {
        for icao in untouched {
            let reply = client.airport(icao, false).await?;
            restored += usize::from(reply.origin() == Some(Origin::Hit));
            tally.add(&reply);
        }
        for icao in changed {
            let reply = client.airport(icao, false).await?;
            older += usize::from(reply.name() != new_name(icao));
            reads += 1;
            tally.add(&reply);
        }
    }
    let (mut latest, mut sent) = (Duration::ZERO, Duration::ZERO);
    for instance in seen {
        older += instance.older;
        reads += instance.reads;
        latest = latest.max(instance.first_hit.saturating_duration_since(returned));
        sent = sent.max(instance.all_sent.saturating_duration_since(returned));
        tally.merge(instance.tally);
    }
    pair.report.promise(
        latest < BACK_WITHIN,
        format!(
            "Redis back: both instances served from it again within {} ms",
            latest.as_millis()
        ),
    );
    pair.report.promise(
        sent < BACK_WITHIN,
        format!(
            "Redis back: no invalidation was pending any more after {} ms",
            sent.as_millis()
        ),
    );
    pair.report.promise(
        older == 0 && restored == 2 * untouched.len(),
        format!(
            "Redis back with all it had, {restored} hits: {} reads of the updated airports, {older} \
             saw an old row",
            grouped(reads as u64),
        ),
    );
    let queries = pair.queries().await? - before;
    pair.report.phase("Redis comes back", tally, queries);
    Ok(())
}

fn new_name(icao: &str) -> String {
    format!("{icao}, changed while Redis was away")
}

/// Reads every airport at both instances, then changes some through both.
///
/// Through both, since Redis will come back with the old row. An instance that made the change has
/// a pending invalidation and serves nothing for the key until it is done. An instance that did not
/// make it could not know.
async fn away(
    clients: &mut [Client; 2],
    airports: &[String],
) -> Result<(Vec<Reply>, Vec<Reply>), Failure> {
    let (mut reads, mut updates) = (Vec::new(), Vec::new());
    for icao in airports {
        for client in &mut *clients {
            reads.push(client.airport(icao, false).await?);
        }
    }
    for icao in &airports[..CHANGED] {
        for client in &mut *clients {
            let change = json!({ "name": new_name(icao) });
            updates.push(client.change(icao, &change).await?);
        }
    }
    Ok((reads, updates))
}

/// What a client of one instance saw, from before Redis came back until it served again and no
/// invalidation was pending.
struct Seen {
    tally: Tally,
    first_hit: Instant,
    /// When no invalidation was pending any more.
    all_sent: Instant,
    /// Reads of changed airports, and how many of them gave an old row.
    reads: usize,
    older: usize,
}

async fn watch(
    mut client: Client,
    changed: Vec<String>,
    untouched: Vec<String>,
) -> Result<Seen, Failure> {
    let mut tally = Tally::default();
    let (mut reads, mut older) = (0, 0);
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut first_hit = None;
    for (changed, untouched) in changed.iter().cycle().zip(untouched.iter().cycle()) {
        let reply = client.airport(changed, false).await?;
        reads += 1;
        older += usize::from(reply.name() != new_name(changed));
        let served = client.airport(untouched, false).await?;
        tally.add(&reply);
        tally.add(&served);
        if served.origin() == Some(Origin::Hit) {
            let first_hit = *first_hit.get_or_insert_with(Instant::now);
            if health(&mut client).await?["pending_invalidations"] == 0 {
                return Ok(Seen {
                    tally,
                    first_hit,
                    all_sent: Instant::now(),
                    reads,
                    older,
                });
            }
        }
        if Instant::now() > deadline {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Err(Failure::when("see Redis come back")(
        "there was no hit, or invalidations stay pending",
    ))
}
