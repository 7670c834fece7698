//! A slot moves to another node and back while its airports are read and updated.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use super::{AIRPORTS, Tour, keeper_of, nodes, slot_of_airport};
use crate::failure::Failure;
use crate::report::grouped;
use crate::tour::{Client, Tally};

/// How many airports of other slots are in every batch.
const OTHERS: usize = 100;

/// How often the slot moves there and back.
const ROUNDS: usize = 2;

/// What the clients tell the one that moves the slot.
#[derive(Debug, Default)]
struct Progress {
    done: AtomicBool,
    /// Batches that were answered, at either instance.
    batches: [AtomicUsize; 2],
}

#[derive(Default)]
struct Seen {
    tally: Tally,
    /// Airports that the cache did not have.
    misses: usize,
    degraded: usize,
    updates: u64,
    /// Updates that the next read did not see.
    older: u64,
}

pub(super) async fn visit(tour: &mut Tour<'_>) -> Result<(), Failure> {
    let before = tour.instances.queries().await?;
    let (slot, mut moved) = fullest_slot(&tour.airports)?;
    let updated = moved.pop().ok_or("it has one airport");
    let updated = updated.map_err(Failure::when("choose a slot"))?;
    let others = tour.airports[..AIRPORTS].iter();
    let others = others.filter(|icao| slot_of_airport(icao) != slot);
    let mut batch = moved;
    let keys = batch.len() + 1;
    batch.extend(others.take(OTHERS).cloned());

    let mut clients = tour.instances.clients().await?;
    clients[0].airports(&batch).await?;
    let progress = Arc::new(Progress::default());
    let mut running = JoinSet::new();
    for (place, client) in clients.into_iter().enumerate() {
        running.spawn(read(client, place, batch.clone(), progress.clone()));
    }
    let [writer, reader] = tour.instances.clients().await?;
    running.spawn(write(writer, reader, updated, progress.clone()));

    let from = keeper_of(&batch[0]);
    let to = (from + 1) % nodes::PRIMARIES;
    let moves = async {
        for _ in 0..ROUNDS {
            for (from, to) in [(from, to), (to, from)] {
                let between = async || progress.another_batch_of_each().await;
                tour.nodes.move_slot(slot, from, to, between).await?;
            }
        }
        Ok(())
    };
    let moves: Result<(), Failure> = moves.await;
    // Also after a failure; otherwise the clients would go on for ever.
    progress.done.store(true, Ordering::Relaxed);
    let mut all = Seen::default();
    while let Some(client) = running.join_next().await {
        let seen = client.map_err(Failure::when("run a client"))??;
        all.misses += seen.misses;
        all.degraded += seen.degraded;
        all.updates += seen.updates;
        all.older += seen.older;
        all.tally.merge(seen.tally);
    }
    moves?;

    let batches: usize = progress.batches.iter().map(batches).sum();
    tour.report.promise(
        all.misses == 0,
        format!(
            "a slot of {keys} airports moved there and back, {} times, during {batches} batches of \
             {}: {} misses",
            ROUNDS,
            batch.len(),
            all.misses,
        ),
    );
    tour.report.promise(
        all.older == 0 && all.degraded == 0 && all.updates > 0 && all.tally.odd == 0,
        format!(
            "{} updates in the moving slot, read at the other instance: {} unseen, {} degraded answers",
            grouped(all.updates),
            all.older,
            all.degraded,
        ),
    );
    let queries = tour.instances.queries().await? - before;
    tour.report
        .phase("a slot moves, in batches", all.tally, queries);
    Ok(())
}

/// The slot with the most airports, and these.
fn fullest_slot(airports: &[String]) -> Result<(u16, Vec<String>), Failure> {
    let mut slots: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for icao in airports {
        let slot = slots.entry(slot_of_airport(icao)).or_default();
        slot.push(icao.clone());
    }
    let fullest = slots.into_iter().max_by_key(|(_, airports)| airports.len());
    fullest
        .ok_or("there are no airports")
        .map_err(Failure::when("choose a slot"))
}

fn batches(count: &AtomicUsize) -> usize {
    count.load(Ordering::Relaxed)
}

impl Progress {
    /// Waits until either instance has answered a batch that began after this call.
    async fn another_batch_of_each(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + Duration::from_secs(10);
        // The first one may have begun before.
        let wanted = self.batches.each_ref().map(|count| batches(count) + 2);
        while self
            .batches
            .iter()
            .zip(wanted)
            .any(|(count, wanted)| batches(count) < wanted)
        {
            if Instant::now() > deadline {
                return Err(Failure::when("read batches")("they take too long"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}

async fn read(
    mut client: Client,
    place: usize,
    batch: Vec<String>,
    progress: Arc<Progress>,
) -> Result<Seen, Failure> {
    let mut seen = Seen::default();
    while !progress.done.load(Ordering::Relaxed) {
        let reply = client.airports(&batch).await?;
        seen.tally.add(&reply);
        seen.misses += batch.len() - reply.hits().unwrap_or_default();
        seen.degraded += usize::from(reply.is_degraded());
        progress.batches[place].fetch_add(1, Ordering::Relaxed);
    }
    Ok(seen)
}

async fn write(
    mut writer: Client,
    mut reader: Client,
    icao: String,
    progress: Arc<Progress>,
) -> Result<Seen, Failure> {
    let mut seen = Seen::default();
    while !progress.done.load(Ordering::Relaxed) {
        seen.updates += 1;
        let name = format!("{icao} revision {}", seen.updates);
        let changed = writer.change(&icao, &json!({ "name": name })).await?;
        let read = reader.airport(&icao, false).await?;
        seen.tally.add(&changed);
        seen.tally.add(&read);
        seen.degraded += [&changed, &read]
            .into_iter()
            .filter(|reply| reply.is_degraded())
            .count();
        seen.older += u64::from(read.name() != name);
    }
    Ok(seen)
}
